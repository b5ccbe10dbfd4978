"""A views' store in a simulation: a process's way to SQLite in memory, which it shares with others."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from twofold.adapters.sqlite.views import SqliteViews
from twofold.errors import ValueRefused
from twofold.followers import Checkpoint, checkpoints
from twofold.followers.model import WHOLE
from twofold.simulation.disks import MEMORY, ViewDisk
from twofold.simulation.history import Asked, Read, reading
from twofold.simulation.wire import Wire, at_once
from twofold.views import Layout, Write
from twofold.views.tables import named_tables

T = TypeVar("T")


class _Connection:
    """What stands in a store for a connection and its thread: a way to the disk, for reading or for writing."""

    path = MEMORY
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

    def __init__(self, disk: ViewDisk, wire: Wire | None = None) -> None:
        self._disk = disk
        self._wire = wire
        self._clock = disk.clock
        self._sessions = disk.sessions
        self._writing: Any = _Connection(disk, partial(wire.write, what="a write to the views") if wire else _at_once)
        self._reading: Any = _Connection(disk, wire.read if wire else _at_once)
        self._selecting: Any = self._reading

    async def load(self, layout: Layout, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        if asked := reading.get():
            self._note(asked, [layout.table])
        return await super().load(layout, keys)

    async def select(self, statement: Any) -> list[Any]:
        if asked := reading.get():
            self._note(asked, named_tables(statement))
        return await super().select(statement)

    def _note(self, asked: Asked, tables: Iterable[str]) -> None:
        """Take note of where followers stand at this moment, as something is read for a query."""
        now = at_once(checkpoints.standings(SimulatedViewStore(self._disk)))
        read = Read(asked, tuple(sorted(tables)), {name: each.position for name, each in now.items()})
        asked.read.append(read)
        self._disk.read.append(read)

    async def commit(self, checkpoint: Checkpoint, writes: Sequence[Write] = ()) -> None:
        if self._wire and writes and self._wire.mishaps.happens("refused_row"):
            self._wire.process.tell(f"a row of {checkpoint.claim.follower} is refused")
            raise ValueRefused("Simulated: the database does not take this row, and nothing was stored.")
        await super().commit(checkpoint, writes)

    def _commit(self, checkpoint: Checkpoint, writes: Sequence[Write], connection: sqlite3.Connection) -> None:
        super()._commit(checkpoint, writes, connection)
        self._disk.committed()
        if self._wire:
            self._wire.process.tell(_told(checkpoint))


def _told(checkpoint: Checkpoint) -> str:
    claim = checkpoint.claim
    part = "" if claim.segment.width == WHOLE else f" from {claim.segment.low:#x}"
    parked = f", {len(checkpoint.parked)} parked" if checkpoint.parked else ""
    unparked = f", {len(checkpoint.unparked)} not any more" if checkpoint.unparked else ""
    return f"{claim.follower}{part} is at {checkpoint.position}{parked}{unparked}"


async def _at_once(work: Callable[[], T]) -> T:
    return work()
