"""The shop's orders on PostgreSQL: each comes to one end whatever goes wrong, and no penny and no unit is lost."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from tests.support.fulfilments import Chaos, check_fulfilments


@pytest.mark.parametrize(("orders", "kills", "down_seconds"), [(270, 4, 1), (10_000, 60, 60)])
def test_every_order_comes_to_one_end_whatever_goes_wrong(
    orders: int, kills: int, down_seconds: float, database: str
) -> None:
    """Cards are declined, answers lost, deadlines missed, goods sold out; processes are killed, an API and a service away."""
    if orders > 1_000 and not os.environ.get("TWOFOLD_TEST_FULL"):
        pytest.skip("TWOFOLD_TEST_FULL=1 runs it.")

    @asynccontextmanager
    async def away() -> AsyncIterator[None]:
        connection = await asyncpg.connect(database)
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE shipping.log_appending IN EXCLUSIVE MODE")
                yield
        finally:
            await connection.close()

    place = f"{database}?schema={{service}}"
    check_fulfilments(place, place, Chaos(orders, kills, down_seconds, away))
