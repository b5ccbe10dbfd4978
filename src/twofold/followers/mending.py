"""What operators decide about parked events, as the log keeps it: who has changed or left out what, when and why."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec

from twofold.log import Criterion, Log, RecordedEvent
from twofold.messages import Event, Tag, reader

ParkedId: TypeAlias = Annotated[str, Tag("twofold.parked")]
"""What was parked, as its follower and its position: ``handler:welcome/7``."""


class EventEdited(Event, name="twofold.EventEdited"):
    """A parked event is to be handled for a key as if it had this data. The event itself stays in the log as it is."""

    parked: ParkedId
    key: str
    data: msgspec.Raw
    by: str
    reason: str


class EventDiscarded(Event, name="twofold.EventDiscarded"):
    """A parked event is never to be handled for a key; ``error`` is what it had failed with, '' if it had only waited."""

    parked: ParkedId
    key: str
    error: str
    by: str
    reason: str


MENDINGS: Final[tuple[type[Event], ...]] = (EventEdited, EventDiscarded)


def parked_id(follower: str, position: int) -> str:
    """Return the name under which the log keeps what becomes of a parked event."""
    return f"{follower}/{position}"


async def as_edited(log: Log, event: RecordedEvent, follower: str, key: str) -> RecordedEvent:
    """Return an event as an operator has last changed it for a follower and a key, which nearly always is as it was.

    Raises:
        LogUnavailable: the log failed.
    """
    tag = Tag("twofold.parked").of(parked_id(follower, event.position))
    criteria = (Criterion(types=(EventEdited.message_name,), tags=(tag,)),)
    for each in await log.read(criteria, backwards=True):
        edited = reader(EventEdited, each.version)(each.data)
        if edited.key == key:
            return msgspec.structs.replace(event, data=bytes(edited.data))
    return event
