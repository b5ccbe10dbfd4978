"""A log in memory, for tests: the contract without the durability."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from twofold.clock import Clock
from twofold.log import Append, Appended, Criteria, Criterion, Outcome, Recorded, Snapshot, selects, settle
from twofold.messages import encode


class MemoryStore:
    """Holds a log for as long as the object lives; several `twofold.log.Log` may share one."""

    def __init__(self) -> None:
        self._events: list[Recorded] = []
        self._by_tag: defaultdict[str, list[int]] = defaultdict(list)
        self._by_type: defaultdict[str, list[int]] = defaultdict(list)
        self._handled: dict[str, Appended] = {}
        self._snapshots: dict[tuple[str, str], Snapshot] = {}

    async def open(self, *, read_only: bool = False) -> None:
        pass

    async def write(self, batch: Sequence[Append], recorded_at_us: int) -> list[Outcome]:
        head = len(self._events)
        conflicts = {index: newer for index, append in enumerate(batch) if (newer := self._newer(append))}
        outcomes, accepted = settle(batch, head, self._handled, conflicts)
        for position, event in enumerate(accepted, head + 1):
            self._by_type[event.type].append(position)
            for tag in dict.fromkeys(event.tags):
                self._by_tag[tag].append(position)
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
                for event in self._selected(condition.criteria, condition.after, len(self._events)):
                    return event.position
        return 0

    async def read(
        self, criteria: Criteria, after: int = 0, limit: int = 1000, *, backwards: bool = False
    ) -> list[Recorded]:
        if backwards:
            older = list(self._selected(criteria, 0, (after or len(self._events) + 1) - 1))
            return older[::-1][:limit]
        return list(islice(self._selected(criteria, after, len(self._events)), limit))

    def _selected(self, criteria: Criteria, after: int, until: int) -> Iterator[Recorded]:
        """Yield the selected events after a position and up to another one, having looked only at likely ones."""
        near = [self._near(criterion, after) for criterion in criteria]
        positions = near[0] if len(near) == 1 else sorted(set(chain.from_iterable(near)))
        for position in positions:
            if position <= until and selects(criteria, self._events[position - 1]):
                yield self._events[position - 1]

    def _near(self, criterion: Criterion, after: int) -> Sequence[int]:
        """Return, in order, the positions after one that have a tag of the criterion, or else one of its types."""
        if criterion.tags:
            return _after(self._by_tag.get(criterion.tags[0], []), after)
        if criterion.types:
            return sorted(chain.from_iterable([_after(self._by_type.get(each, []), after) for each in criterion.types]))
        return range(after + 1, len(self._events) + 1)

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


def _after(positions: list[int], after: int) -> list[int]:
    return positions[bisect_right(positions, after) :]


def open_store(url: str, clock: Clock) -> MemoryStore:
    """Return a new store in memory."""
    return MemoryStore()
