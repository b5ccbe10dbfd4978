"""What there is to listen to: every telemetry event, declared once, as data.

A telemetry event says that something has happened in a running service. Its **measures** are numbers, with the unit as the
last word of the name; its **labels** are texts of which there are few: names of what is declared, and outcomes. A key, an id
or a position is neither, as there is no end of them. The page docs/telemetry.md shows what is declared here.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args, get_origin

import msgspec

Outcome: TypeAlias = Literal["stored", "failed"]


class TelemetryEvent(msgspec.Struct, frozen=True, tag_field="event"):
    """Something that happened, as listeners are told of it; as JSON, its name stands in the field ``event``."""

    @property
    def name(self) -> str:
        """The name, such as ``command.decided``."""
        return name_of(type(self))

    @property
    def measures(self) -> dict[str, float]:
        """The numbers, by name."""
        return {field: getattr(self, field) for field in measures_of(type(self))}

    @property
    def labels(self) -> dict[str, str]:
        """The texts, by name."""
        return {field: getattr(self, field) for field in labels_of(type(self))}


def declared() -> list[type[TelemetryEvent]]:
    """Return all telemetry events, in the order in which data flows."""
    return TelemetryEvent.__subclasses__()


def name_of(event: type[TelemetryEvent]) -> str:
    """Return a telemetry event's name.

    >>> name_of(CommandDecided)
    'command.decided'
    """
    return str(event.__struct_config__.tag)


def measures_of(event: type[TelemetryEvent]) -> dict[str, str]:
    """Return the measures of a telemetry event, each with its unit.

    >>> measures_of(FollowerHandled)
    {'seconds': 'seconds', 'events': 'events', 'lag_events': 'events', 'age_seconds': 'seconds'}
    """
    return {name: name.rpartition("_")[2] for name, kind in _fields(event) if kind in (int, float)}


def labels_of(event: type[TelemetryEvent]) -> dict[str, tuple[str, ...]]:
    """Return the labels of a telemetry event, each with the texts that it may be; none where it is a declared name.

    >>> labels_of(QueryAnswered)
    {'query': (), 'source': ('found', 'cached')}
    """
    return {
        name: get_args(kind) if get_origin(kind) is Literal else ()
        for name, kind in _fields(event)
        if kind not in (int, float)
    }


def _fields(event: type[TelemetryEvent]) -> list[tuple[str, Any]]:
    return [(field.name, field.type) for field in msgspec.structs.fields(event)]


# The log.


class LogCommitted(TelemetryEvent, frozen=True, tag="log.committed"):
    """One transaction has stored all appends that were waiting, or failed with them; each conflict failed alone."""

    seconds: float
    appends: int
    conflicts: int
    events: int
    bytes: int
    outcome: Outcome


class LogRead(TelemetryEvent, frozen=True, tag="log.read"):
    """Events were read from the log: whole ones to follow it, or only what a state is folded from."""

    seconds: float
    events: int
    content: Literal["events", "payloads"]


# Deciding.


class CommandDecided(TelemetryEvent, frozen=True, tag="command.decided"):
    """A command was decided, and what it led to is durable; under an id that was used before, it was so already."""

    seconds: float
    command: str


class CommandRejected(TelemetryEvent, frozen=True, tag="command.rejected"):
    """A decision said no; ``rejection`` is the class's name."""

    seconds: float
    command: str
    rejection: str


class CommandFailed(TelemetryEvent, frozen=True, tag="command.failed"):
    """A command came to no end: the log failed, the decision is wrong, or others were first each time."""

    seconds: float
    command: str
    error: str


class CommandConflicted(TelemetryEvent, frozen=True, tag="command.conflicted"):
    """A decision was made on a state that the log did not have any more; it is made again."""

    attempts: int
    command: str


class StateLoaded(TelemetryEvent, frozen=True, tag="state.loaded"):
    """A state that was not in memory, or not the latest, was read from a snapshot and the log."""

    seconds: float
    events: int
    state: str


# Following.


class FollowerHandled(TelemetryEvent, frozen=True, tag="follower.handled"):
    """A follower has handled a batch, the oldest event of which is so old, and so many events are left behind it."""

    seconds: float
    events: int
    lag_events: int
    age_seconds: float
    follower: str


class FollowerRetried(TelemetryEvent, frozen=True, tag="follower.retried"):
    """An event could not be handled, and is tried again, at once or later; by a view, with its batch."""

    attempts: int
    follower: str


class FollowerParked(TelemetryEvent, frozen=True, tag="follower.parked"):
    """An event could not be handled after so many attempts, and is set aside with all later ones of its key."""

    attempts: int
    follower: str


class FollowerDiscarded(TelemetryEvent, frozen=True, tag="follower.discarded"):
    """An event could not be handled after so many attempts, and is left out, as the policy says."""

    attempts: int
    follower: str


class FollowerUnparked(TelemetryEvent, frozen=True, tag="follower.unparked"):
    """The parked events of a key were tried again, and none is left."""

    seconds: float
    follower: str


class FollowerStopped(TelemetryEvent, frozen=True, tag="follower.stopped"):
    """A follower could not go on, and begins again after a pause, unless another process has its segment now (`LeaseLost`)."""

    follower: str
    error: str


class OutageBegan(TelemetryEvent, frozen=True, tag="outage.began"):
    """Nearly all that a follower handles fails, so it tries one event at a time until one succeeds."""

    follower: str
    error: str


class OutageEnded(TelemetryEvent, frozen=True, tag="outage.ended"):
    """Something that a follower handles succeeds again; ``seconds`` is how long that was not so."""

    seconds: float
    follower: str


# Views' rows.


class ViewLoaded(TelemetryEvent, frozen=True, tag="view.loaded"):
    """Rows were read by their keys, to fold events into them or for an answer; not each key has one."""

    seconds: float
    keys: int
    rows: int
    table: str


class ViewSelected(TelemetryEvent, frozen=True, tag="view.selected"):
    """Rows were found by a statement, for an answer or a projection."""

    seconds: float
    rows: int


class ViewCommitted(TelemetryEvent, frozen=True, tag="view.committed"):
    """A follower's effect and its checkpoint were stored together, or neither was; it wrote or deleted so many rows."""

    seconds: float
    rows: int
    parked_events: int
    follower: str
    outcome: Outcome


# Asking.


class QueryAnswered(TelemetryEvent, frozen=True, tag="query.answered"):
    """A query was answered: from views, or with an answer that is cached and still holds."""

    seconds: float
    query: str
    source: Literal["found", "cached"]


class QueryFailed(TelemetryEvent, frozen=True, tag="query.failed"):
    """A query could not be answered."""

    seconds: float
    query: str
    error: str


class LiveUpdated(TelemetryEvent, frozen=True, tag="live.updated"):
    """A live query has another answer than before, and all who watch it are told."""

    bytes: int
    subscribers: int
    query: str


class LiveFailed(TelemetryEvent, frozen=True, tag="live.failed"):
    """A live query cannot be answered at the moment, and all who watch it are told."""

    subscribers: int
    query: str
    error: str


# Telling others.


class TransportPublished(TelemetryEvent, frozen=True, tag="transport.published"):
    """The relay has handed a delivery over to a transport that pushes."""

    seconds: float
    events: int


class TransportDelivered(TelemetryEvent, frozen=True, tag="transport.delivered"):
    """A transport has brought what another service published; the oldest was recorded there ``age_seconds`` ago."""

    events: int
    redelivered_events: int
    age_seconds: float
    source: str


class InboxRecorded(TelemetryEvent, frozen=True, tag="inbox.recorded"):
    """What another service published is in the own log, but for what no log takes."""

    seconds: float
    events: int
    refused_events: int
    source: str
