"""Timers: as users declare them, and as rows of a table while they are pending."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from zlib import crc32

from twofold.clock import microseconds
from twofold.followers import Segment, storable_key
from twofold.log import Criteria, Criterion, RecordedEvent
from twofold.messages import Event, Message, encode
from twofold.processes.records import CommandSent, TimerCancelled, TimerDue, TimerId, TimerSet
from twofold.views import Index, View, ViewStore, layout


class Timer(Message):
    """What a process asks to be told later, with what it will want to know then.

    >>> class PaymentDeadline(Timer):
    ...     order: str
    >>> PaymentDeadline(order="7")
    PaymentDeadline(order='7')
    """


class PendingTimer(View, key=TimerId):
    """A timer that has not come due, with all that has to be known when it does: ``due_us`` is in microseconds since 1970.

    ``share`` says to which segment of the follower it belongs, ``position`` is where in the log it was set, and ``metadata``
    is that of what follows from it.
    """

    due_us: Annotated[int, Index] = 0
    share: int = 0
    kind: str = ""
    data: str = ""
    instance: str | None = None
    command: CommandSent | None = None
    position: int = 0
    metadata: str = ""


TIMER_RECORDS: Final[dict[str, type[Event]]] = {
    each.message_name: each for each in (TimerSet, TimerCancelled, TimerDue)
}
"""What the log has of timers, by name. The last of these about a timer says what has become of it."""


_FIRST_US = microseconds(datetime.min.replace(tzinfo=UTC))
_LAST_US = microseconds(datetime.max.replace(tzinfo=UTC))


def check_due(due_us: int, what: object) -> None:
    """Check that something is to be due at a time that can be kept in a table, and be shown.

    Raises:
        ValueError: no calendar has that time.
    """
    if not _FIRST_US <= due_us <= _LAST_US:
        raise ValueError(
            f"{what!r:.200} is to come due at a time beyond the years 1 to 9999 in UTC. Give one that will come."
        )


def timer_tag(timer: str) -> str:
    """Return the identity by which the log finds what concerns a timer.

    >>> timer_tag("command:reminder-7")
    'twofold.timer:command:reminder-7'
    """
    return f"twofold.timer:{timer}"


def about(timer: str) -> Criteria:
    """Return what selects all that the log has of a timer."""
    return (Criterion(types=tuple(TIMER_RECORDS), tags=(timer_tag(timer),)),)


def timer_key(timer: str) -> str:
    """Return the key by which the follower orders what concerns a timer."""
    return storable_key(timer_tag(timer))


def pending_timer(timer: TimerSet, event: RecordedEvent) -> PendingTimer:
    """Return the row of a timer, and of the event by which it was set."""
    return PendingTimer(
        key=timer.id,
        due_us=timer.due_us,
        share=crc32(timer_key(timer.id).encode()),
        kind=timer.kind,
        data=bytes(timer.data).decode(),
        instance=timer.instance,
        command=timer.command,
        position=event.position,
        metadata=encode(event.metadata.caused(event.id)).decode(),
    )


async def due_timers(store: ViewStore, segment: Segment, now_us: int, limit: int) -> list[PendingTimer]:
    """Return the timers of a segment that are due, the longest first, and no more than so many."""
    from sqlalchemy import select

    from twofold.views.tables import table_of

    statement = select(table_of(PendingTimer)).where(PendingTimer.c.due_us <= now_us, *_of(segment))
    rows = await store.select(statement.order_by(PendingTimer.c.due_us).limit(limit))
    names = [column.name for column in layout(PendingTimer).columns]
    return [PendingTimer(**dict(zip(names, row, strict=True))) for row in rows]


async def next_due_us(store: ViewStore, segment: Segment, after_us: int) -> int | None:
    """Return when the first timer of a segment after a time is due, None if there is none."""
    from sqlalchemy import select

    column = PendingTimer.c.due_us
    rows = await store.select(select(column).where(column > after_us, *_of(segment)).order_by(column).limit(1))
    return rows[0][0] if rows else None


def _of(segment: Segment) -> Sequence[Any]:
    if segment == Segment():
        return ()
    return PendingTimer.c.share >= segment.low, PendingTimer.c.share < segment.high
