"""Recording: what follows from events without a decision goes into the log here, once, under an id that says from what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twofold.clock import Clock
from twofold.errors import InvalidMessage
from twofold.log import Guard, Log, Ticket, recordable
from twofold.messages import Event

_OWN: Final = "twofold/"


def own_id(*parts: object) -> str:
    """Return the id of what a service appends by itself, from what it derives from: no client can take it before.

    >>> own_id("process", "Fulfilment/order:7", 12)
    'twofold/process/Fulfilment/order:7/12'
    """
    return _OWN + "/".join(map(str, parts))


def check_id(id: str) -> None:
    """Check that the id which a client has chosen for a command is none under which a service appends by itself.

    Raises:
        InvalidMessage: it is one.
    """
    if id.startswith(_OWN):
        raise InvalidMessage(
            f"The id {id!r:.200} begins with {_OWN!r}, as those of the service itself do. Choose another."
        )


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
