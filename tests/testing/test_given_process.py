"""Tests of processes in one line: what is told, and what follows, exactly."""

from datetime import timedelta

import pytest

from tests.support.order_service import (
    Cancelled,
    Charge,
    Close,
    Fulfilment,
    PaymentDeadline,
    Placed,
    Refund,
    Release,
    Reserve,
    Ship,
    Shipped,
)
from twofold import Accepted, Compensated, Refused, after, at
from twofold.errors import Unrecoverable
from twofold.testing import given
from twofold.testing.given import NOON

PLACED = Placed(order="7", units=3)
RESERVE, RELEASE = Reserve(order="7", units=3), Release(order="7", units=3)
CHARGE, REFUND = Charge(order="7", cents=300), Refund(order="7", cents=300)
DEADLINE = PaymentDeadline(order="7")


def test_commands_and_timers_follow_from_an_event() -> None:
    """All that is sent and set is compared, with the times of timers however they are said."""
    begun = given(Fulfilment).when(PLACED)
    begun.sends(RESERVE).schedules(after(DEADLINE, minutes=30)).schedules(at(DEADLINE, NOON + timedelta(minutes=30)))
    with pytest.raises(AssertionError, match="sends other commands"):
        begun.sends()
    with pytest.raises(AssertionError, match="sets other timers"):
        begun.schedules(after(DEADLINE, minutes=31))
    with pytest.raises(AssertionError, match="has not ended"):
        begun.ends()


def test_outcomes_lead_from_step_to_step() -> None:
    """Each outcome is that of a command which was sent before; what follows from it is told by itself."""
    paid = given(Fulfilment, PLACED, Accepted(RESERVE)).when(Accepted(CHARGE))
    paid.sends(Ship(order="7")).cancels(PaymentDeadline).schedules()
    assert paid.state("7") == Fulfilment(key="7", units=3, status="paid")
    paid.when(Shipped(order="7")).sends(Close(order="7", status="shipped")).cancels().ends()


def test_a_timer_comes_when_its_time_has_passed() -> None:
    """Not before, and once; what it leads to is undone, if the process says so."""
    waiting = given(Fulfilment, PLACED, Accepted(RESERVE), Refused(CHARGE, "CardDeclined"))
    waiting.after(days=60).sends()
    late = given(Fulfilment, PLACED).after(minutes=29).sends().after(minutes=1)
    late.sends().when(Accepted(RESERVE)).sends(RELEASE)
    given(Fulfilment, PLACED).when(DEADLINE).sends()


def test_what_was_done_is_undone_in_reverse_order() -> None:
    """One after the other: the next undoing is sent when the outcome of the one before it is known."""
    cancelled = given(Fulfilment, PLACED, Accepted(RESERVE), Accepted(CHARGE)).when(Cancelled(order="7"))
    cancelled.sends(REFUND).when(Accepted(REFUND)).sends(RELEASE).when(Accepted(RELEASE)).sends(
        Close(order="7", status="undone")
    ).ends()


def test_what_is_never_told_is_no_test() -> None:
    """A test that tells a process of what cannot happen would hold of nothing."""
    with pytest.raises(AssertionError, match=r"has not sent that command, or knows its outcome already"):
        given(Fulfilment, PLACED).when(Accepted(CHARGE))
    with pytest.raises(AssertionError, match=r"has not sent that command, or knows its outcome already"):
        given(Fulfilment, PLACED, Accepted(RESERVE)).when(Accepted(RESERVE))
    with pytest.raises(AssertionError, match=r"has not set that timer"):
        given(Fulfilment, PLACED).when(PaymentDeadline(order="8"))
    with pytest.raises(AssertionError, match=r"is told that by itself"):
        given(Fulfilment, PLACED).when(Compensated())
    with pytest.raises(AssertionError, match=r"Close.* and is told of .*Placed"):
        given(Fulfilment, Close(order="7", status="x"))
    with pytest.raises(AssertionError, match=r"There is no Fulfilment of '7'"):
        given(Fulfilment).state("7")


def test_what_would_be_parked_is_raised() -> None:
    """An undoing that is refused needs somebody to look at it."""
    undoing = given(Fulfilment, PLACED, Accepted(RESERVE), Refused(CHARGE, "CardDeclined"))
    with pytest.raises(Unrecoverable, match=r"its Release was refused: NotThere \(gone\)\. Mend what keeps it"):
        undoing.when(Refused(RELEASE, "NotThere", "gone"))
