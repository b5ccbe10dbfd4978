"""Recording: what follows from events without a decision goes into the log here, once, under an id that says from what."""

from __future__ import annotations

from collections.abc import Sequence

from twofold.clock import Clock
from twofold.log import Guard, Log, Ticket, recordable
from twofold.messages import Event


def record(
    log: Log,
    records: Sequence[Event],
    id: str,
    clock: Clock,
    metadata: bytes = b"{}",
    *guards: Guard,
    digest: bytes = b"",
    succeeds: Ticket | None = None,
) -> Ticket:
    """Queue records, all or none, under an id that derives from what has led to them: if it is known, nothing is added.

    With a ``digest`` of what the id stands for, something else under it is noticed: see `Log.append`. What it ``succeeds`` is
    not to come behind it: see `Log.submit`.

    Raises:
        UnrecordableEvent: the log could not give one back as it is; nothing was queued.
        LogUnavailable: the log is closing.
        ValueRefused: no log takes so much, or such an id; nothing was queued.
    """
    made = [recordable(each, clock.new_id(), metadata) for each in records]
    return log.submit_recorded(made, guards, id, digest, succeeds)
