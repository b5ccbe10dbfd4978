"""What a log keeps of commands on their way, of what became of them, of timers and of the ends of processes.

These are events like any others: they are appended under ids, read by followers, copied and checked. Their names begin with
``twofold.``, which no event of a user's does.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from twofold.log import Criteria, Criterion, RecordedEvent
from twofold.messages import Event, Tag, reader

InstanceId: TypeAlias = Annotated[str, Tag("twofold.process")]
"""Which instance of a process something is about, as its process and its key: ``Fulfilment/order:7``; '' for none."""

CommandId: TypeAlias = Annotated[str, Tag("twofold.command")]
"""The id under which a command is decided once; it derives from what has led to it, wherever that is possible."""

TimerId: TypeAlias = Annotated[str, Tag("twofold.timer")]
"""Which timer: of one id there is at most one pending."""


class FollowerBegan(Event, name="twofold.FollowerBegan"):
    """A follower is told of all that comes after this."""

    follower: str


class CommandSent(Event, name="twofold.CommandSent"):
    """A command that is to be decided by a service, this one or another; whoever carries it out follows these.

    Those of one ``order`` are decided one after the other. ``instance`` is the process that sent it, and is told the outcome.
    """

    id: CommandId
    service: str
    command: str
    data: msgspec.Raw
    order: str
    instance: InstanceId | None = None


class CommandSettled(Event, name="twofold.CommandSettled"):
    """What became of a command that was sent: decided, in the same append as its events, or refused, with the reason.

    ``service`` is the one that sent it. ``rejection`` is the name of the rejection's class, '' if it was accepted, with what
    that says to people and its arguments.
    """

    id: CommandId
    service: str
    command: str
    data: msgspec.Raw
    instance: InstanceId | None = None
    rejection: str = ""
    reason: str = ""
    arguments: list[Any] = []


class TimerSet(Event, name="twofold.TimerSet"):
    """A timer that is due at ``due_us``, in microseconds since 1970. Another one of the same id takes its place.

    When it is due, its process is told of ``data``, which is of the type ``kind``; or ``command``, if it has one, is sent.
    """

    id: TimerId
    due_us: int
    kind: str
    data: msgspec.Raw
    instance: InstanceId | None = None
    command: CommandSent | None = None


class TimerCancelled(Event, name="twofold.TimerCancelled"):
    """A timer is not to be due any more."""

    id: TimerId
    instance: InstanceId | None = None


class TimerDue(Event, name="twofold.TimerDue"):
    """A timer has come due: ``due_us`` says which one of its id."""

    id: TimerId
    due_us: int
    kind: str
    data: msgspec.Raw
    instance: InstanceId | None = None


class ProcessEnded(Event, name="twofold.ProcessEnded"):
    """An instance of a process has ended, by its reaction to the event at a position."""

    instance: InstanceId
    position: int


RECORDS: Final[tuple[type[Event], ...]] = (
    FollowerBegan, CommandSent, CommandSettled, TimerSet, TimerCancelled, TimerDue, ProcessEnded,
)  # fmt: skip


_ADDRESSED: Final[Mapping[str, type[CommandSent | CommandSettled]]] = {
    each.message_name: each for each in (CommandSent, CommandSettled)
}


def addressee(event: RecordedEvent) -> str:
    """Return the service that an event is for: who is to decide on a command, or is told what became of it; '' for all."""
    kind = _ADDRESSED.get(event.type)
    return reader(kind, event.version)(event.data).service if kind else ""


CARRIED_OUT: Final[Criteria] = (Criterion(types=(CommandSent.message_name, TimerSet.message_name)),)
"""Selects what somebody has to carry out, at once or at its time."""


@functools.cache
def heard(record: type[Event], source: str) -> type[Event]:
    """Return the type by which a service reads a record of another one, as its inbox has recorded it.

    >>> heard(CommandSent, "sales").message_name
    'sales.twofold.CommandSent'
    """
    return types.new_class(record.__name__, (record,), {"name": record.message_name, "source": source})
