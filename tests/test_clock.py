"""The system's clock: the ids that it makes, and time as whole microseconds."""

import re
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.clock import SystemClock, moment


def test_ids_are_uuids_of_version_7_in_the_order_of_their_making() -> None:
    """Many of one instant are told apart, and sort as they were made: a log's index is filled at its end."""
    clock = SystemClock()
    ids = [clock.new_id() for _ in range(20_000)]
    assert ids == sorted(set(ids))
    for each in (ids[0], ids[-1]):
        found = uuid.UUID(each)
        assert (found.version, found.variant) == (7, uuid.RFC_4122)


def test_an_id_tells_when_it_was_made() -> None:
    """Its first 48 bits are milliseconds since 1970, as RFC 9562 has it."""
    before = time.time_ns() // 1_000_000
    made = int(SystemClock().new_id().replace("-", "")[:12], 16)
    assert before <= made <= time.time_ns() // 1_000_000


def test_two_clocks_of_one_machine_make_different_ids() -> None:
    """Two instances of a service in one process, at one instant, are told apart by what was drawn for each."""
    tails = {SystemClock().new_id()[19:] for _ in range(50)}
    assert len(tails) == 50
    assert all(re.fullmatch(r"[89ab][0-9a-f]{3}-[0-9a-f]{12}", tail) for tail in tails)


def test_ids_go_on_where_the_machine_s_time_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is set back makes no id a second time, and none that sorts before an earlier one."""
    clock, now = SystemClock(), time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now)
    first = clock.new_id()
    now -= 3_600_000_000_000
    ids = [first, *[clock.new_id() for _ in range(5000)]]
    assert ids == sorted(set(ids))


@given(st.integers(0, 253_402_300_799_999_999))
def test_moments_are_exact(us: int) -> None:
    """Floating point would lose microseconds of today's dates; what was recorded is told as it was."""
    assert (moment(us) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) == us
