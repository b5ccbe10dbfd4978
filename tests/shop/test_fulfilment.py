"""The shop's orders: each comes to one end whatever goes wrong, and no penny and no unit is lost."""

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from examples.shop.fulfilment import (
    CancellationAsked,
    Charge,
    CompleteOrder,
    Fulfilment,
    GiveUpOrder,
    OrderPlaced,
    PaymentDeadline,
    PaymentRefused,
    PaymentTaken,
    Refund,
    Release,
    Reserve,
    Ship,
)
from tests.support.fulfilments import Chaos, check_fulfilments
from twofold import Accepted, Refused, after
from twofold.testing import given

PLACED = OrderPlaced(
    order="7", stock_code="85123A", units=2, amount_mills=5_100, card="card", country="France", seconds_to_pay=1_800
)
RESERVE, RELEASE = Reserve(order="7", stock_code="85123A", units=2), Release(order="7")
CHARGE, REFUND = Charge(order="7", card="card", amount_mills=5_100), Refund(order="7")
SHIP, PAID = Ship(order="7", country="France"), PaymentTaken(order="7")


def test_an_order_is_reserved_then_paid_then_shipped() -> None:
    """Each step when the one before it is known to be done, and none of it waits for longer than the customer may."""
    order = given(Fulfilment).when(PLACED).sends(RESERVE).schedules(after(PaymentDeadline(order="7"), minutes=30))
    order = order.when(Accepted(RESERVE)).sends(CHARGE).when(Accepted(CHARGE)).sends()
    order.when(PAID).sends(SHIP).when(Accepted(SHIP)).sends(CompleteOrder(order="7")).ends()


def test_what_was_done_is_undone_the_last_of_it_first() -> None:
    """Whatever is the reason; it is the first one that is told."""
    paid = given(Fulfilment, PLACED, Accepted(RESERVE), Accepted(CHARGE), PAID)
    turning = paid.when(Refused(SHIP, "NotServed", "Nothing is shipped there.")).sends(REFUND)
    turning = turning.when(CancellationAsked(order="7")).sends().when(Accepted(REFUND)).sends(RELEASE)
    turning.when(Accepted(RELEASE)).sends(GiveUpOrder(order="7", reason="Nothing is shipped there.")).ends()
    charged = given(Fulfilment, PLACED, Accepted(RESERVE), Accepted(CHARGE))
    charged.when(PaymentRefused(order="7", reason="The card was declined.")).sends(REFUND)
    charged.after(minutes=30).sends(REFUND)


def test_what_is_being_shipped_does_not_turn_back() -> None:
    """Neither for the customer, nor for a deadline."""
    shipping = given(Fulfilment, PLACED, Accepted(RESERVE), Accepted(CHARGE), PAID)
    shipping.when(CancellationAsked(order="7")).sends()
    shipping.after(minutes=30).sends()


@pytest.mark.parametrize(("orders", "kills", "down_seconds"), [(270, 4, 1), (10_000, 60, 60)])
def test_every_order_comes_to_one_end_whatever_goes_wrong(
    orders: int, kills: int, down_seconds: float, tmp_path: Path
) -> None:
    """Cards are declined, answers lost, deadlines missed, goods sold out; processes are killed, an API and a service away."""
    if orders > 1_000 and not os.environ.get("TWOFOLD_TEST_FULL"):
        pytest.skip("TWOFOLD_TEST_FULL=1 runs it.")

    @asynccontextmanager
    async def away() -> AsyncIterator[None]:
        with closing(sqlite3.connect(tmp_path / "shipping.db", timeout=60)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield

    place = f"sqlite:///{tmp_path}/{{service}}"
    check_fulfilments(f"{place}.db", f"{place}-views.db", Chaos(orders, kills, down_seconds, away))
