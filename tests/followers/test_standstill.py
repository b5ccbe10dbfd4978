"""What stands still is told once, then how long it has been, and that it goes on."""

import logging

import pytest

from twofold.followers.standstill import Standstill
from twofold.testing import MovableClock


def test_an_outage_is_a_line_a_minute_and_not_one_for_each_try(caplog: pytest.LogCaptureFixture) -> None:
    """What an operator reads: why, since when, and that it is over; another reason is news."""
    caplog.set_level(logging.INFO, "twofold.followers")
    clock = MovableClock()
    standstill = Standstill(clock)
    for _ in range(90):
        standstill.tell("relay", "The broker is away.")
        clock.move(seconds=1)
    standstill.tell("relay", "The password is wrong.")
    clock.move(seconds=5)
    standstill.end("relay")
    standstill.end("relay")
    assert caplog.messages == [
        "relay pauses: The broker is away.",
        "relay pauses, for 60 seconds now: The broker is away.",
        "relay pauses, for 90 seconds now: The password is wrong.",
        "relay goes on, after 95 seconds.",
    ]
