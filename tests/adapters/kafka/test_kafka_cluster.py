"""A cluster of three brokers, of which one is lost."""

import json
import os
from pathlib import Path
from threading import Timer

import pytest

from tests.shop.test_shop import REAL, totals_of
from tests.support.servers.kafka import running_cluster
from tests.support.shop_over_a_broker import check_shop


@pytest.mark.parametrize("name", ["week1", "full"])
def test_the_real_data_survive_the_loss_of_a_broker(name: str, tmp_path: Path) -> None:
    """And of services, by kill -9, while all that was published comes twice: the totals are those that are known."""
    if not os.environ.get("TWOFOLD_TEST_FULL"):
        pytest.skip("TWOFOLD_TEST_FULL=1 runs it.")
    orders = REAL / f"{name}.csv.gz"
    with running_cluster() as cluster:

        def lose_one() -> None:
            cluster.nodes[0].stop()
            Timer(20, cluster.nodes[0].begin).start()

        url = f"{cluster.url}?replication=3"
        answered = check_shop(url, orders, tmp_path, wanted=270, kills=30, midway=lose_one)
    known = json.loads((REAL / "expected.json").read_text())[name]
    assert {key: known[key] for key in answered if key in known} == {
        key: answered[key] for key in answered if key in known
    }
    assert answered == totals_of(orders)
