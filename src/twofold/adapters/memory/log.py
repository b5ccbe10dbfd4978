"""A log in memory, for tests: the contract without the durability."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Self

from twofold.clock import Clock
from twofold.limits import Limits
from twofold.log import (
    Append,
    Appended,
    Criteria,
    Criterion,
    Outcome,
    ProcessedId,
    RecordedEvent,
    Snapshot,
    StoredPayload,
    TypeCount,
    check_batch,
    check_id,
    check_query,
    lacking,
    not_remembered,
    resolve,
    stored_key,
)


class MemoryStore:
    """Holds a log for as long as the object lives; several `twofold.log.Log` may share one."""

    def __init__(self) -> None:
        self._events: list[RecordedEvent] = []
        self._tags: list[tuple[str, ...]] = []
        self._by_tag: defaultdict[str, list[int]] = defaultdict(list)
        self._by_type: defaultdict[str, list[int]] = defaultdict(list)
        self._processed: dict[str, ProcessedId] = {}
        self._snapshots: dict[tuple[str, str], Snapshot] = {}

    async def open(self, *, read_only: bool = False) -> None:
        pass

    async def write(
        self, batch: Sequence[Append], recorded_at_us: int, *, meanwhile: Callable[[], object] | None = None
    ) -> list[Outcome]:
        check_batch(batch)
        conflicts = {index: newer for index, append in enumerate(batch) if (newer := self._newer(append))}
        processed = {each.id: at for each in batch if (at := self._processed.get(stored_key(each.id)))}
        outcomes, accepted = resolve(batch, len(self._events), processed, conflicts)
        for event in accepted:
            self._keep(event.recorded(len(self._events) + 1, recorded_at_us), event.tags)
        for append, outcome in zip(batch, outcomes, strict=True):
            if append.id and isinstance(outcome, Appended) and not outcome.repeated:
                key = stored_key(append.id)
                self._processed[key] = ProcessedId(key, outcome.first, outcome.last, append.digest)
        if meanwhile:
            meanwhile()
        # A real store lets other tasks run while it writes; so does this one, that tests see the same interleavings.
        await asyncio.sleep(0)
        return outcomes

    def _keep(self, event: RecordedEvent, tags: tuple[str, ...]) -> None:
        self._events.append(event)
        self._tags.append(tags)
        self._by_type[event.type].append(event.position)
        for tag in dict.fromkeys(tags):
            self._by_tag[tag].append(event.position)

    def _newer(self, append: Append) -> int:
        for condition in append.conditions:
            if condition.behind is None:
                for criterion in condition.criteria:
                    for candidates in self._candidates(criterion):
                        for position in self._selected(criterion, candidates, condition.after, backwards=False):
                            return position
        return 0

    async def read(
        self, criteria: Criteria, after: int = 0, limit: int = 1000, *, backwards: bool = False
    ) -> list[RecordedEvent]:
        check_query(criteria, after, limit)
        found: set[int] = set()
        for criterion in criteria:
            for candidates in self._candidates(criterion):
                found.update(islice(self._selected(criterion, candidates, after, backwards=backwards), limit))
        return [self._events[position - 1] for position in sorted(found, reverse=backwards)[:limit]]

    async def history(self, criteria: Criteria, after: int = 0, limit: int = 1000) -> list[StoredPayload]:
        events = await self.read(criteria, after, limit)
        return [StoredPayload(event.position, event.type, event.version, event.data) for event in events]

    def _candidates(self, criterion: Criterion) -> list[Sequence[int]]:
        """Return the positions, in order, among which are all that are selected: of the rarest tag, or of each type."""
        if criterion.tags:
            return [min((self._by_tag.get(tag, []) for tag in criterion.tags), key=len)]
        if criterion.types:
            return [self._by_type.get(each, []) for each in criterion.types]
        return [range(1, len(self._events) + 1)]

    def _selected(
        self, criterion: Criterion, candidates: Sequence[int], after: int, *, backwards: bool
    ) -> Iterator[int]:
        if backwards:
            places = range(bisect_left(candidates, after) - 1 if after else len(candidates) - 1, -1, -1)
        else:
            places = range(bisect_right(candidates, after), len(candidates))
        for place in places:
            position = candidates[place]
            if criterion.selects(self._events[position - 1].type, self._tags[position - 1]):
                yield position

    async def head(self) -> int:
        return len(self._events)

    async def types(self, most: int) -> list[TypeCount]:
        return [TypeCount(each, min(len(at), most), at[0], at[-1]) for each, at in sorted(self._by_type.items()) if at]

    async def processed(self, append_id: str) -> ProcessedId | None:
        check_id(append_id)
        return self._processed.get(stored_key(append_id))

    async def read_processed(self, since: int, until: int, after: str = "", limit: int = 1000) -> list[ProcessedId]:
        keys = sorted(key for key, at in self._processed.items() if key > after and since <= at.last <= until)
        return [self._processed[key] for key in keys[:limit]]

    async def restore(self, events: Sequence[RecordedEvent], processed: Sequence[ProcessedId]) -> None:
        new_ids = not_remembered(processed, self._processed)
        if events:
            first = events[0].position
            there = [event.id for event in self._events[first - 1 : first - 1 + len(events)]]
            for event in lacking(events, len(self._events), there):
                self._keep(event, event.tags)
        self._processed.update({each.key: each for each in new_ids})
        await asyncio.sleep(0)

    async def changed(self, timeout_seconds: float) -> None:
        await asyncio.sleep(timeout_seconds)

    @property
    def snapshots(self) -> Self:
        return self

    async def load_snapshot(self, fold: str, key: str) -> Snapshot | None:
        return self._snapshots.get((fold, key))

    async def save_snapshot(self, fold: str, key: str, snapshot: Snapshot) -> None:
        kept = self._snapshots.get((fold, key))
        if kept is None or kept.position <= snapshot.position:
            self._snapshots[fold, key] = snapshot

    async def close(self) -> None:
        pass


def open_log(url: str, clock: Clock, limits: Limits) -> MemoryStore:
    """Return a new store in memory."""
    return MemoryStore()
