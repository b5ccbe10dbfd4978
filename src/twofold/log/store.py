"""The port: what a database must do to hold a log. Adapters are in `twofold.adapters`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from twofold.log.model import Append, Criteria, Outcome, ProcessedId, RecordedEvent, StoredPayload, TypeCount


class Snapshot(msgspec.Struct, frozen=True):
    """A state as it was at a position: ``data`` is what the events up to there fold into."""

    position: int
    data: bytes


class SnapshotStore(Protocol):
    """A home for snapshots. It is a cache, so it may lose them, and may fail: then the events are folded instead."""

    async def load_snapshot(self, fold: str, key: str) -> Snapshot | None:
        """Return the snapshot stored for a fold and a key."""
        ...

    async def save_snapshot(self, fold: str, key: str, snapshot: Snapshot) -> None:
        """Keep a snapshot, in place of an earlier one; a newer one stays."""
        ...


class LogStore(Protocol):
    """A log's home. `twofold.testing.LogConformance` says, by tests, all that an adapter must hold to.

    Whatever goes wrong with the database itself is raised as `twofold.errors.LogUnavailable`: later, it may succeed. A value
    that it does not take is a `twofold.errors.ValueRefused`, raised at once: the same again would be refused again.
    """

    async def open(self, *, read_only: bool = False) -> None:
        """Connect, and create or upgrade the schema.

        Read-only, do neither, and write and lock nothing from then on: for looking at the log of a service from outside.

        Raises:
            LogUnavailable: the database cannot be opened or, read-only, holds no log.
        """
        ...

    async def write(
        self, batch: Sequence[Append], recorded_at_us: int, *, meanwhile: Callable[[], object] | None = None
    ) -> list[Outcome]:
        """Decide the appends in order and store the accepted ones durably, in one transaction.

        Each append sees those before it, and a conflict fails alone. Positions continue from the head without gaps, in
        the order of commits: no reader sees a position before all earlier ones.

        ``meanwhile`` is best called on the event loop, when nothing is left but to wait for the disk or the server: what it
        sets off then takes this batch no time.
        """
        ...

    async def read(
        self, criteria: Criteria, after: int = 0, limit: int = 1000, *, backwards: bool = False
    ) -> list[RecordedEvent]:
        """Return up to ``limit`` selected events with positions greater than ``after``, in order.

        Backwards, it returns those with positions less than ``after``, the newest first; 0 then means from the end.
        """
        ...

    async def history(self, criteria: Criteria, after: int = 0, limit: int = 1000) -> list[StoredPayload]:
        """Return what `read` would, and of each event only what a state is folded from: that is what loading one costs."""
        ...

    async def head(self) -> int:
        """Return the position of the last event, 0 if there is none."""
        ...

    async def types(self, most: int) -> list[TypeCount]:
        """Return the types of which there are events, in the order of their bytes, with no more than ``most`` counted of each.

        That is for the start of a service, so it may not take longer where a log is longer.
        """
        ...

    async def processed(self, append_id: str) -> ProcessedId | None:
        """Return what is remembered of an earlier append with this id."""
        ...

    async def read_processed(self, since: int, until: int, after: str = "", limit: int = 1000) -> list[ProcessedId]:
        """Return up to ``limit`` of the ids that the log remembers, those whose ``last`` is from ``since`` to ``until``.

        They come in the order of the bytes of their keys, from the first one behind ``after`` on.
        """
        ...

    async def restore(self, events: Sequence[RecordedEvent], processed: Sequence[ProcessedId]) -> None:
        """Take over what another log has, as it is: durably, in one transaction, under the lock that appending takes.

        The events are in a row, and go on from the head. What is there already is left alone, so whoever was interrupted
        may begin again anywhere. Ids may come before the events that they are about.

        Raises:
            LogDiverged: other events, or another outcome or content of an id, are there; nothing is stored then.
        """
        ...

    async def changed(self, timeout_seconds: float) -> None:
        """Return when another process may have appended, or after the timeout. It is a hint: too often does no harm.

        This is the signal that wakes followers; whoever has another one gives the log a store that waits for it here.
        """
        ...

    @property
    def snapshots(self) -> SnapshotStore:
        """Where states that took many events to fold are kept: here, or wherever an adapter thinks best."""
        ...

    async def close(self) -> None:
        """Let go of the database."""
        ...
