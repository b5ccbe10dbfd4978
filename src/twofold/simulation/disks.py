"""Where a simulated system keeps everything: databases and a broker, which outlive its processes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from twofold.adapters.memory import MemoryStore
from twofold.adapters.sqlite.failures import failure_of
from twofold.clock import Clock
from twofold.log import ALL, Append, Appended, Outcome, RecordedEvent
from twofold.messaging import Message
from twofold.simulation.history import Read
from twofold.simulation.starting import remembered
from twofold.simulation.wire import at_once

T = TypeVar("T")

MEMORY = ":memory:"
_EVERYTHING = 1_000_000_000


class Bell:
    """Those who wait for news."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    async def wait(self, timeout_seconds: float) -> None:
        """Return when it rings, or after the timeout."""
        loop = asyncio.get_running_loop()
        news: asyncio.Future[None] = loop.create_future()
        self._waiting.append(news)
        timeout = loop.call_later(timeout_seconds, _tell, news)
        try:
            await news
        finally:
            timeout.cancel()

    def ring(self) -> None:
        """Tell whoever waits that there may be news."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            _tell(each)


def _tell(news: asyncio.Future[None]) -> None:
    if not news.done():
        news.set_result(None)


class Commit(msgspec.Struct, frozen=True):
    """An append that was stored, and where the log ended before it."""

    append: Append
    outcome: Appended
    head: int


class LogDisk:
    """What is stored of a log. ``start`` is what it began with, and ``commits`` has all that was ever appended."""

    def __init__(self, start: Sequence[RecordedEvent] = ()) -> None:
        self.start = start
        self.stored = MemoryStore()
        at_once(self.stored.restore(start, remembered(start)))
        self.commits: list[Commit] = []
        self.bell = Bell()

    @property
    def head(self) -> int:
        """The position of the last event."""
        return at_once(self.stored.head())

    def events(self) -> list[RecordedEvent]:
        """Return all that the log holds."""
        return at_once(self.stored.read(ALL, 0, _EVERYTHING))

    def write(self, batch: Sequence[Append], recorded_at_us: int) -> list[Outcome]:
        """Decide appends and store them, now."""
        head = self.head
        outcomes = at_once(self.stored.write(batch, recorded_at_us))
        for append, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Appended) and not outcome.repeated:
                self.commits.append(Commit(append, outcome, head))
                head = outcome.last
        return outcomes


class ViewDisk:
    """What is stored of views. Each piece of work is done on it in one step; its time is that of ``clock``.

    ``read`` has what was read for queries, in that order.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.committed: Callable[[], None] = lambda: None
        """Called after each commit of a follower."""
        self.sessions: dict[sqlite3.Connection, Any] = {}
        self.read: list[Read] = []
        self._connection = sqlite3.connect(MEMORY, isolation_level=None, check_same_thread=False)

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do work on the database.

        Raises:
            LogUnavailable: SQLite failed.
            ValueRefused: SQLite does not take a value or a statement.
        """
        try:
            return work(self._connection)
        except Exception as error:
            raise failure_of(MEMORY, error, 0) from error

    @property
    def is_empty(self) -> bool:
        """Whether no process has come so far as to prepare it."""
        (version,) = self._connection.execute("PRAGMA schema_version").fetchone()
        return bool(version == 0)

    def close(self) -> None:
        """Free the memory."""
        for session in self.sessions.values():
            session.close()
        self._connection.close()


class BrokerDisk:
    """What was published, for good: messages by source and partition, and how many of each partition a group has settled."""

    def __init__(self) -> None:
        self.messages: defaultdict[tuple[str, int], list[Message]] = defaultdict(list)
        self.settled: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self.bell = Bell()

    def keep(self, source: str, partition: int, messages: Sequence[Message]) -> None:
        """Keep messages, now."""
        self.messages[source, partition] += messages
        self.bell.ring()
