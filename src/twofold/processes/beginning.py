"""Where event handlers and processes begin that are new: with what happens from now on, the first event, or a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

from twofold.clock import Clock, microseconds
from twofold.errors import DeclarationError, LogCorrupted
from twofold.followers import FollowerStore, claiming
from twofold.log import Appended, Log
from twofold.processes.recording import own_id, record
from twofold.processes.records import FollowerBegan

Start: TypeAlias = Literal["now", "first"] | datetime
"""Which events a new follower is told of: those that are recorded from now on, all from the first, or all since a time."""


def check_start(start: Any, location: Callable[[], str]) -> None:
    """Check where something is declared to begin.

    Raises:
        DeclarationError: that is not said, or is no place to begin at.
    """
    if start in ("now", "first") or (isinstance(start, datetime) and start.tzinfo is not None):
        return
    found = "it does not say with what it begins" if start is None else f"start={start!r} is none"
    raise DeclarationError(
        f"{location()}: {found}. Write start='now' for what happens from its first start on, start='first' for all that has "
        "happened too, or start=datetime(…, tzinfo=UTC) for all since then."
    )


async def begin(starts: Mapping[str, Start], log: Log, store: FollowerStore, clock: Clock) -> None:
    """Give each follower that has none yet its place in the log, by the followers' names.

    It is called when a service is opened in the role "processes", before that takes commands, and not when somebody happens to
    follow: what is sent to a service that has started is handled. With "now", the place is a record in the log, so it is the
    same one if the database of the checkpoints is lost.

    Raises:
        DeclarationError: a follower begins at a time that is still to come.
        LogUnavailable: the log or the database of the checkpoints cannot be used now.
    """
    begun = await claiming.begun(store)
    places = {name: await _place(name, start, log, clock) for name, start in starts.items() if name not in begun}
    if places:
        await claiming.begin(store, places)


async def _place(follower: str, start: Start, log: Log, clock: Clock) -> int:
    """Return the position after which a follower begins."""
    if start == "first":
        return 0
    if start == "now":
        return await _noted(follower, log, clock)
    at_us = microseconds(start)
    if at_us > clock.now_us():
        raise DeclarationError(
            f"{follower} begins at {start}, which is still to come. Write start='now', or a time that has passed."
        )
    return await _last_before(at_us, log)


async def _noted(follower: str, log: Log, clock: Clock) -> int:
    """Return where a follower has begun, which is where that was noted: now, or the first time."""
    outcome = await record(log, [FollowerBegan(follower=follower)], own_id("begin", follower), clock)
    if not isinstance(outcome, Appended):
        raise LogCorrupted(f"The log answered the record of where {follower} begins with {outcome!r}.")
    return outcome.last


async def _last_before(at_us: int, log: Log) -> int:
    """Return the position of the last event that was recorded before a time, as times go up with positions."""
    low, high = 0, await log.head()
    while low < high:
        middle = (low + high + 1) // 2
        (event,) = await log.read(after=middle - 1, limit=1)
        low, high = (middle, high) if event.recorded_at_us < at_us else (low, middle - 1)
    return low
