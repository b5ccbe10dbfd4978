"""What travels between services: published events, in their source's order."""

from __future__ import annotations

import msgspec

from twofold.log import RecordedEvent


class Published(msgspec.Struct, frozen=True):
    """A published event. The fields are those of CloudEvents 1.0 (``id``, ``source``, ``type``) and what we add.

    ``key`` is the event's first tag: order holds among events of one key. ``position`` is that in the source's log, and
    ``data`` JSON that is passed on untouched. ``to`` is the one service that it is for, '' if it is for all who subscribe to
    it; only what is for one says who is the ``actor``. What comes through a broker from somebody who keeps no log has position
    0: nothing is known of what it follows.
    """

    id: str
    source: str
    type: str
    version: int
    key: str
    position: int
    recorded_at_us: int
    data: msgspec.Raw
    correlation: str = ""
    traceparent: str = ""
    to: str = ""
    actor: str = ""
    causation: str = ""


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that one source has published after one position of its log and up to another, in order.

    ``redelivered`` is how many of the events come again, as far as the transport knows.
    """

    source: str
    events: list[Published]
    position: int
    after: int = 0
    redelivered: int = 0


def published(source: str, event: RecordedEvent, to: str = "") -> Published:
    """Return an event of a source's log as others get it, or the one service that it is for."""
    metadata = event.metadata
    tags = event.tags
    return Published(
        event.id,
        source,
        event.type,
        event.version,
        tags[0] if tags else "",
        event.position,
        event.recorded_at_us,
        msgspec.Raw(event.data),
        metadata.correlation,
        metadata.traceparent,
        to,
        metadata.actor if to else "",
        metadata.causation,
    )
