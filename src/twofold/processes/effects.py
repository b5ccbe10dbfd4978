"""Effects: what a reaction can yield beside commands. They are values, and take effect when the step is recorded."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from twofold.messages import Command
from twofold.processes.timers import Timer

C = TypeVar("C", bound=Command)
U = TypeVar("U", bound=Command)
T = TypeVar("T", bound=Timer)


class Step(msgspec.Struct, Generic[C, U], frozen=True):
    """A command to send, and the one that undoes it if it was accepted and all is to be undone."""

    command: C
    undo: U


class Later(msgspec.Struct, Generic[T], frozen=True):
    """A timer to set: for a time, or for so long after the event."""

    timer: T
    due: datetime | timedelta


class Cancel(msgspec.Struct, frozen=True):
    """A timer that is not to come any more."""

    timer: type[Timer]


class Compensate(msgspec.Struct, frozen=True):
    """What was done is to be undone."""


class End(msgspec.Struct, frozen=True):
    """The process has come to its end."""


Effect: TypeAlias = Command | Step[Any, Any] | Later[Any] | Cancel | Compensate | End


def step(command: C, *, undo: U) -> Step[C, U]:
    """Send a command, and with it say what undoes it.

    The undoing is sent by `compensate`, if the command was accepted.
    """
    return Step(command, undo)


def after(timer: T, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> Later[T]:
    """Set a timer, for so long after the event that is reacted to was recorded.

    Of one class of timers there is one at a time: set again, it is moved.

    Raises:
        ValueError: no time is given, or one that goes back.
    """
    due = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if due <= timedelta():
        raise ValueError(f"{timer!r} is to come after {due}. Say how much later, as in after(…, minutes=30).")
    return Later(timer, due)


def at(timer: T, due: datetime) -> Later[T]:
    """Set a timer for a time; if that has passed, it comes at once. Of one class there is one at a time, as with `after`.

    Raises:
        ValueError: the time has no zone, so it is not known when it is.
    """
    if due.tzinfo is None:
        raise ValueError(
            f"{timer!r} is to come at {due}, which has no zone. Write datetime(…, tzinfo=UTC) or another zone."
        )
    return Later(timer, due)


def cancel(timer: type[Timer]) -> Cancel:
    """Take back the timer of a class; if there is none, nothing happens."""
    return Cancel(timer)


def compensate() -> Compensate:
    """Undo what was done: send the undoing of each `step` that was accepted, the last one first, each after the one before.

    What is under way is waited for first, and undone as well if it is accepted: its outcome is not reacted to any more. When
    all is undone, the process is told that it is `Compensated`. An undoing that is refused is parked, unless the process
    reacts to that.
    """
    return Compensate()


def end() -> End:
    """End the process: its timers are taken back, and outcomes that come later concern nobody.

    While it compensates, it ends when all is undone.
    """
    return End()
