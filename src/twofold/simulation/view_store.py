"""A views' store in a simulation: SQLite in memory, which outlives processes, and each process's way to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from twofold.adapters.sqlite.failures import failure_of
from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import Clock
from twofold.followers import Checkpoint
from twofold.simulation.wire import Wire
from twofold.views import Write

T = TypeVar("T")

_PATH = ":memory:"


class ViewDisk:
    """What is stored of views, whichever processes come and go. Each piece of work is done on it in one step."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(_PATH, isolation_level=None, check_same_thread=False)
        self.sessions: dict[sqlite3.Connection, Any] = {}

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do work on the database.

        Raises:
            LogUnavailable: SQLite failed.
            ValueRefused: SQLite does not take a value or a statement.
        """
        try:
            return work(self._connection)
        except Exception as error:
            raise failure_of(_PATH, error, 0) from error

    def close(self) -> None:
        """Free the memory."""
        for session in self.sessions.values():
            session.close()
        self._connection.close()


class _Connection:
    """What stands in a store for a connection and its thread: a way to the disk, for reading or for writing."""

    path = _PATH
    read_only = False

    def __init__(self, disk: ViewDisk, ask: Callable[[Callable[[], Any]], Any]) -> None:
        self._disk = disk
        self._ask = ask

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        result: T = await self._ask(partial(self._disk.run, work))
        return result

    async def close(self, first: object) -> None:
        """Do nothing: what a process has of a disk ends with it."""


class SimulatedViewStore(SqliteViews):
    """A process's way to a views' disk. Its statements are those of the adapter for SQLite."""

    def __init__(
        self, disk: ViewDisk, clock: Clock, wire: Wire | None = None, tell: Callable[[str], None] = lambda what: None
    ) -> None:
        self._clock = clock
        self._tell = tell
        self._sessions = disk.sessions
        self._writing: Any = _Connection(disk, partial(wire.write, what="a write to the views") if wire else _at_once)
        self._reading: Any = _Connection(disk, wire.read if wire else _at_once)
        self._selecting: Any = self._reading

    def _commit(self, checkpoint: Checkpoint, writes: Sequence[Write], connection: sqlite3.Connection) -> None:
        super()._commit(checkpoint, writes, connection)
        claim = checkpoint.claim
        part = "" if claim.segment.width == 1 << 32 else f" from {claim.segment.low:#x}"
        parked = f", {len(checkpoint.parked)} parked" if checkpoint.parked else ""
        self._tell(f"{claim.follower}{part} is at {checkpoint.position}{parked}")


async def _at_once(work: Callable[[], T]) -> T:
    return work()
