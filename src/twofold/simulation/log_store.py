"""A log's store in a simulation: a process's way to the disk that it shares with others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Self

from twofold.log import (
    Append,
    Appended,
    Criteria,
    Outcome,
    ProcessedId,
    RecordedEvent,
    Snapshot,
    StoredPayload,
    TypeCount,
)
from twofold.simulation.disks import LogDisk
from twofold.simulation.wire import Wire, at_once


class SimulatedLogStore:
    """A process's way to a log's disk. Its rules are those of the log in memory."""

    def __init__(self, disk: LogDisk, wire: Wire) -> None:
        self._disk = disk
        self._wire = wire

    async def open(self, *, read_only: bool = False) -> None:
        await self._wire.read(lambda: None)

    async def write(
        self, batch: Sequence[Append], recorded_at_us: int, *, meanwhile: Callable[[], object] | None = None
    ) -> list[Outcome]:
        writing = asyncio.ensure_future(
            self._wire.write(partial(self._written, batch, recorded_at_us), f"a commit of {len(batch)}")
        )
        if meanwhile:
            meanwhile()
        return await writing

    def _written(self, batch: Sequence[Append], recorded_at_us: int) -> list[Outcome]:
        outcomes = self._disk.write(batch, recorded_at_us)
        if made := [str(each.last) for each in outcomes if isinstance(each, Appended) and not each.repeated]:
            self._wire.process.tell(f"the log has {', '.join(made)}")
            if not self._wire.mishaps.happens("lost_wake_up"):
                self._disk.bell.ring()
        return outcomes

    async def read(
        self, criteria: Criteria, after: int = 0, limit: int = 1000, *, backwards: bool = False
    ) -> list[RecordedEvent]:
        stored = self._disk.stored
        return await self._wire.read(lambda: at_once(stored.read(criteria, after, limit, backwards=backwards)))

    async def history(self, criteria: Criteria, after: int = 0, limit: int = 1000) -> list[StoredPayload]:
        return await self._wire.read(lambda: at_once(self._disk.stored.history(criteria, after, limit)))

    async def head(self) -> int:
        return await self._wire.read(lambda: self._disk.head)

    async def types(self, most: int) -> list[TypeCount]:
        return await self._wire.read(lambda: at_once(self._disk.stored.types(most)))

    async def processed(self, append_id: str) -> ProcessedId | None:
        return await self._wire.read(lambda: at_once(self._disk.stored.processed(append_id)))

    async def read_processed(self, since: int, until: int, after: str = "", limit: int = 1000) -> list[ProcessedId]:
        return await self._wire.read(lambda: at_once(self._disk.stored.read_processed(since, until, after, limit)))

    async def restore(self, events: Sequence[RecordedEvent], processed: Sequence[ProcessedId]) -> None:
        await self._wire.write(lambda: at_once(self._disk.stored.restore(events, processed)), "a copy")

    async def changed(self, timeout_seconds: float) -> None:
        await self._disk.bell.wait(timeout_seconds)

    @property
    def snapshots(self) -> Self:
        return self

    async def load_snapshot(self, fold: str, key: str) -> Snapshot | None:
        return await self._wire.read(lambda: at_once(self._disk.stored.load_snapshot(fold, key)))

    async def save_snapshot(self, fold: str, key: str, snapshot: Snapshot) -> None:
        await self._wire.write(lambda: at_once(self._disk.stored.save_snapshot(fold, key, snapshot)), "a snapshot")

    async def close(self) -> None:
        """Do nothing: what a process has of a disk ends with it."""
