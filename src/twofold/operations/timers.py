"""What is to happen later: the timers that are pending, those of processes, of delayed commands and of schedules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from twofold.clock import moment
from twofold.operations.databases import Databases
from twofold.processes import PendingTimer
from twofold.queries import Views
from twofold.views import layout, schema


class WaitingTimer(msgspec.Struct, frozen=True):
    """A timer that has not come due.

    ``what`` is the class of the timer, or the command that is sent then; ``instance`` is the process that set it, '' if none
    did. ``overdue_seconds`` is how long it should have come ago; ``position`` is where in the log it was set.
    """

    service: str
    id: str
    due_at: datetime
    what: str
    instance: str
    overdue_seconds: float
    position: int


class TimerPage(msgspec.Struct, frozen=True):
    """Some timers of a service, those first that are due first, how many there are, and how to ask for the next ones."""

    service: str
    pending: int
    timers: Sequence[WaitingTimer]
    next: str = ""


async def timers(databases: Databases, *, limit: int = 100, after: str = "") -> TimerPage:
    """Return what a service has pending, as far as its follower has seen the log.

    Raises:
        InvalidMessage: ``after`` is not from an earlier page.
        LogUnavailable: the views' database cannot be used now.
    """
    from sqlalchemy import func, select

    from twofold.views.tables import table_of

    if not await schema.has(databases.views, layout(PendingTimer)):
        return TimerPage(databases.service, 0, ())
    views = Views(databases.views)
    page = await views.find(PendingTimer, order_by=PendingTimer.c.due_us, limit=limit, after=after)
    ((pending,),) = await databases.views.select(select(func.count()).select_from(table_of(PendingTimer)))
    now_us = databases.clock.now_us()
    return TimerPage(databases.service, pending, [_waiting(databases.service, row, now_us) for row in page], page.next)


def _waiting(service: str, row: PendingTimer, now_us: int) -> WaitingTimer:
    overdue_seconds = max(0, now_us - row.due_us) / 1_000_000
    return WaitingTimer(
        service, row.key, moment(row.due_us), row.kind, row.instance or "", overdue_seconds, row.position
    )
