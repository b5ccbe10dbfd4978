"""What was asked of a service in a simulated run, and what was told: the evidence that oracles judge by."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import msgspec

from twofold.messages import Command, Query, Receipt
from twofold.simulation.clock import Drawn
from twofold.simulation.probing import Calls
from twofold.simulation.releases import Release


class Sent(msgspec.Struct):
    """A command that was sent, to a process with the code of a release, and what became of it.

    ``head_before`` is where the log ended when it was sent, and ``head_after`` when its caller was answered: what it was
    decided on lies between. Where its caller was told nothing, or that nothing is known, both outcomes are empty.
    """

    service: str
    process: str
    release: Release
    command: Command
    id: str
    head_before: int
    drawn: Drawn
    head_after: int = -1
    receipt: Receipt | None = None
    error: BaseException | None = None

    @property
    def command_id(self) -> str:
        """The id under which its events are: its own, or the first one that was drawn for it; '' if it did not come so far."""
        return self.id or (self.drawn.ids[0] if self.drawn.ids else "")


class Read(msgspec.Struct, frozen=True):
    """Which tables were read for a query, and where each follower stood then."""

    asked: Asked
    tables: tuple[str, ...]
    positions: dict[str, int]


class Asked(msgspec.Struct):
    """A query that was asked, perhaps after a receipt, what was read for it, and what was answered."""

    service: str
    query: Query[Any]
    after: Receipt | None
    read: list[Read] = []
    answer: Any = None
    error: BaseException | None = None


class Visited(msgspec.Struct):
    """A scenario that was run by a client, and what it has raised beside what it was told."""

    scenario: str
    client: str
    error: BaseException | None = None


reading: ContextVar[Asked | None] = ContextVar("twofold_simulated_reading", default=None)
"""The query for which something is read: set while it is answered."""


class History:
    """All that was sent, asked and called in a run, and the scenarios in which some of it was."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.asked: list[Asked] = []
        self.visited: list[Visited] = []
        self.calls = Calls()
        self.has_sent: Callable[[], None] = lambda: None
        """Called after each command."""

    def send(self, sent: Sent) -> None:
        """Take note of a command that is sent."""
        self.sent.append(sent)
        self.has_sent()
