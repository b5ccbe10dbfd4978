"""A log in memory, for tests: the contract without the durability."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice

from twofold.clock import Clock
from twofold.log import Append, Appended, Criteria, Outcome, Recorded, Snapshot, selects, settle
from twofold.messages import encode


class MemoryStore:
    """Holds a log for as long as the object lives; several `twofold.log.Log` may share one."""

    def __init__(self) -> None:
        self._events: list[Recorded] = []
        self._handled: dict[str, Appended] = {}
        self._snapshots: dict[tuple[str, str], Snapshot] = {}

    async def open(self, *, read_only: bool = False) -> None:
        pass

    async def write(self, batch: Sequence[Append], recorded_at_us: int) -> list[Outcome]:
        head = len(self._events)
        conflicts = {index: newer for index, append in enumerate(batch) if (newer := self._newer(append))}
        outcomes, accepted = settle(batch, head, self._handled, conflicts)
        for position, event in enumerate(accepted, head + 1):
            self._events.append(
                Recorded(
                    position,
                    event.id,
                    event.type,
                    event.version,
                    encode(event.tags),
                    event.data,
                    event.metadata,
                    recorded_at_us,
                )
            )
        for append, outcome in zip(batch, outcomes, strict=True):
            if append.id and isinstance(outcome, Appended) and not outcome.repeated:
                self._handled[append.id] = outcome
        # A real store lets other tasks run while it writes; so does this one, that tests see the same interleavings.
        await asyncio.sleep(0)
        return outcomes

    def _newer(self, append: Append) -> int:
        for condition in append.conditions:
            if condition.behind is None:
                for event in self._selected(condition.criteria, condition.after):
                    return event.position
        return 0

    async def read(
        self, criteria: Criteria, after: int = 0, limit: int = 1000, *, backwards: bool = False
    ) -> list[Recorded]:
        if backwards:
            older = reversed(self._events[: after - 1] if after else self._events)
            return list(islice((event for event in older if selects(criteria, event)), limit))
        return list(islice(self._selected(criteria, after), limit))

    def _selected(self, criteria: Criteria, after: int) -> Iterator[Recorded]:
        return (self._events[i] for i in range(after, len(self._events)) if selects(criteria, self._events[i]))

    async def head(self) -> int:
        return len(self._events)

    async def handled(self, append_id: str) -> Appended | None:
        return self._handled.get(append_id)

    async def changed(self, timeout_seconds: float) -> None:
        await asyncio.sleep(timeout_seconds)

    async def load_snapshot(self, fold: str, key: str) -> Snapshot | None:
        return self._snapshots.get((fold, key))

    async def save_snapshot(self, fold: str, key: str, snapshot: Snapshot) -> None:
        kept = self._snapshots.get((fold, key))
        if kept is None or kept.position <= snapshot.position:
            self._snapshots[fold, key] = snapshot

    async def close(self) -> None:
        pass


def open_store(url: str, clock: Clock) -> MemoryStore:
    """Return a new store in memory."""
    return MemoryStore()
