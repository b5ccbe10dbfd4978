"""The shop over Redis."""

from pathlib import Path

from examples.shop.generate import generate
from tests.shop.test_shop import totals_of
from tests.support.servers.redis import RedisServer
from tests.support.shop_over_a_broker import check_shop


def test_whatever_is_killed_the_shop_knows_what_is_in_the_file(server: RedisServer, tmp_path: Path) -> None:
    """Each service is a process of its own, and hears everything twice; each order comes to one end."""
    orders = tmp_path / "orders.csv"
    generate(orders, documents=100)
    assert check_shop(server.places().url, orders, tmp_path, wanted=18, kills=3) == totals_of(orders)
