"""The words of the log: events, criteria, conditions, appends and their outcomes.

The rules are those of a "dynamic consistency boundary" (https://dcb.events/specification/): events carry types and tags, a
criterion selects by both, and an append holds only if nothing that its conditions select came after what was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

import msgspec

from twofold.clock import moment
from twofold.messages import Metadata, encode


class NewEvent(msgspec.Struct, frozen=True, gc=False):
    """An event on its way into the log: all that the log keeps of it, except position and time."""

    id: str
    type: str
    version: int
    tags: tuple[str, ...]
    data: bytes
    metadata: bytes = b"{}"

    def recorded(self, position: int, at_us: int) -> RecordedEvent:
        """Return the event as it is in the log."""
        tags = encode(self.tags)
        return RecordedEvent(position, self.id, self.type, self.version, tags, self.data, self.metadata, at_us)


class RecordedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event in the log.

    Tags and metadata stay encoded until somebody asks: most readers never do.
    """

    position: int
    id: str
    type: str
    version: int
    encoded_tags: bytes
    data: bytes
    encoded_metadata: bytes
    recorded_at_us: int

    @property
    def tags(self) -> tuple[str, ...]:
        """The identities that the event is about, such as ``account:ann``."""
        return _decode_tags(self.encoded_tags)

    @property
    def metadata(self) -> Metadata:
        """Correlation, causation and the rest."""
        return _decode_metadata(self.encoded_metadata)

    @property
    def recorded_at(self) -> datetime:
        """When the log accepted the event, by the writer's clock."""
        return moment(self.recorded_at_us)


class StoredPayload(msgspec.Struct, frozen=True, gc=False):
    """As much of an event in the log as a state is folded from."""

    position: int
    type: str
    version: int
    data: bytes


_decode_tags = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_metadata = msgspec.json.Decoder(Metadata).decode


class TypeCount(msgspec.Struct, frozen=True, gc=False):
    """A type of which the log has events: how many, counted up to a bound, and the positions of the first and the last."""

    type: str
    events: int
    first: int
    last: int


class Criterion(msgspec.Struct, frozen=True, gc=False):
    """Selects the events that have one of the ``types`` (none given: any) and all of the ``tags``.

    >>> withdrawals = Criterion(types=("Withdrawn",), tags=("account:ann",))
    >>> withdrawals.selects("Withdrawn", ("account:ann", "branch:7"))
    True
    >>> withdrawals.selects("Withdrawn", ("account:bob",))
    False
    """

    types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def selects(self, type_: str, tags: Sequence[str]) -> bool:
        """Say whether an event with this type and these tags is selected."""
        return (not self.types or type_ in self.types) and (not self.tags or {*self.tags}.issubset(tags))


Criteria: TypeAlias = tuple[Criterion, ...]
"""Selects what any one of its criteria selects."""

ALL: Criteria = (Criterion(),)


def selects(criteria: Criteria, event: NewEvent | RecordedEvent) -> bool:
    """Say whether any of the criteria selects the event."""
    tags = event.tags
    return any(each.selects(event.type, tags) for each in criteria)


class Condition(msgspec.Struct, frozen=True, gc=False):
    """Holds while no event that the criteria select has a position after ``after``.

    Within a batch, ``behind`` may name an earlier append by its index instead: the condition then counts from that
    append's last event, and fails with it.
    """

    criteria: Criteria
    after: int = 0
    behind: int | None = None


class Append(msgspec.Struct, frozen=True, gc=False):
    """Events to append together, or not at all.

    A non-empty ``id`` makes the append idempotent: a second one with the same id appends nothing and has the first one's
    outcome. ``digest`` is of the content that the id stands for, so that another content under it is noticed; without one,
    it is taken for the same.
    """

    events: tuple[NewEvent, ...]
    conditions: tuple[Condition, ...] = ()
    id: str = ""
    digest: bytes = b""


class Appended(msgspec.Struct, frozen=True, gc=False):
    """The events are in the log at these positions, durably; ``repeated`` if an earlier append with the id put them there.

    Of an append without events, ``last`` is where the head was, and ``first`` is one more.
    """

    first: int
    last: int
    repeated: bool = False


class ProcessedId(msgspec.Struct, frozen=True, gc=False):
    """An id of which the log remembers what became of its append; long ones are remembered by a digest: see `stored_key`.

    Of an append without events, ``first`` is ``last`` plus one. ``digest`` is of the content that the id stands for, empty
    where that is not known.
    """

    key: str
    first: int
    last: int
    digest: bytes = b""

    def answers(self, digest: bytes) -> Appended | Reused:
        """Return what becomes of another append with this id."""
        if self.digest and digest and self.digest != digest:
            return Reused(self.first, self.last)
        return Appended(self.first, self.last, repeated=True)

    def agrees(self, other: ProcessedId) -> bool:
        """Say whether two logs may remember this and that: the same outcome of the same content, as far as it is known."""
        return (self.key, self.first, self.last) == (other.key, other.first, other.last) and not isinstance(
            self.answers(other.digest), Reused
        )


class Conflict(msgspec.Struct, frozen=True, gc=False):
    """Nothing was appended: the condition failed. ``position`` is that of an event which made it fail, 0 if unknown."""

    position: int = 0


class Reused(msgspec.Struct, frozen=True, gc=False):
    """Nothing was appended: the id stands for another content, of which the events are at these positions."""

    first: int
    last: int


Outcome: TypeAlias = Appended | Conflict | Reused
