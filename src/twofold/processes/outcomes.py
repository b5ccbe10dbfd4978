"""Outcomes: what a process is told of the commands that it has sent."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from twofold.errors import Rejected
from twofold.messages import Command

C = TypeVar("C", bound=Command)


class Accepted(msgspec.Struct, Generic[C], frozen=True):
    """A command that the process sent was decided, and its events are in the log.

    >>> class Reserve(Command):
    ...     order: str
    >>> Accepted(Reserve(order="7")).command.order
    '7'
    """

    command: C


class Refused(msgspec.Struct, Generic[C], frozen=True):
    """A command that the process sent was rejected: nothing has happened.

    ``rejection`` is the name of the rejection's class, which may be in the code of another service; ``reason`` is what it says
    to people, and ``arguments`` is what it says to programs.
    """

    command: C
    rejection: str
    reason: str = ""
    arguments: tuple[Any, ...] = ()

    def is_(self, rejection: type[Rejected]) -> bool:
        """Say whether it was rejected for the reason that has this class's name.

        >>> class OutOfStock(Rejected):
        ...     "There is not enough of it."
        >>> class Reserve(Command):
        ...     order: str
        >>> Refused(Reserve(order="7"), "OutOfStock").is_(OutOfStock)
        True
        """
        return self.rejection == rejection.__name__


class Compensated(msgspec.Struct, frozen=True):
    """All that the process had done is undone: see `twofold.compensate`."""
