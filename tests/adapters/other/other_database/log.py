"""A log in a list, which is looked through from one end to the other."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import islice

from twofold.clock import Clock
from twofold.limits import Limits
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
    check_batch,
    check_id,
    check_query,
    lacking,
    not_remembered,
    resolve,
    selects,
    stored_key,
)


class Contents:
    """What a log is made of."""

    def __init__(self) -> None:
        self.events: list[RecordedEvent] = []
        self.processed: dict[str, ProcessedId] = {}
        self.snapshots: dict[tuple[str, str], Snapshot] = {}


_LOGS: defaultdict[str, Contents] = defaultdict(Contents)
"""By their URLs: whoever opens the same one in this process has the same log."""


def open_log(url: str, clock: Clock, limits: Limits) -> OtherLog:
    return OtherLog(_LOGS[url])


class OtherLog:
    """A log's store. Nothing comes between two statements here that are not awaited, so a transaction is a function."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._events = contents.events
        self._processed = contents.processed
        self.snapshots = OtherSnapshots(contents)

    async def open(self, *, read_only: bool = False) -> None: ...

    async def close(self) -> None: ...

    async def write(
        self, batch: Sequence[Append], recorded_at_us: int, *, meanwhile: Callable[[], object] | None = None
    ) -> list[Outcome]:
        check_batch(batch)
        conflicts = {index: newer for index, append in enumerate(batch) if (newer := self._newer(append))}
        processed = {each.id: at for each in batch if (at := self._processed.get(stored_key(each.id)))}
        outcomes, accepted = resolve(batch, len(self._events), processed, conflicts)
        for event in accepted:
            self._events.append(event.recorded(len(self._events) + 1, recorded_at_us))
        for append, outcome in zip(batch, outcomes, strict=True):
            if append.id and isinstance(outcome, Appended) and not outcome.repeated:
                key = stored_key(append.id)
                self._processed[key] = ProcessedId(key, outcome.first, outcome.last, append.digest)
        if meanwhile:
            meanwhile()
        return outcomes

    def _newer(self, append: Append) -> int:
        """Return the position of an event in the log that breaks one of an append's conditions, or 0."""
        for condition in append.conditions:
            if condition.behind is None:
                for event in self._events[condition.after :]:
                    if selects(condition.criteria, event):
                        return event.position
        return 0

    async def read(
        self, criteria: Criteria, after: int = 0, limit: int = 1000, *, backwards: bool = False
    ) -> list[RecordedEvent]:
        check_query(criteria, after, limit)
        before = self._events[: after - 1 if after else None]
        events = before[::-1] if backwards else self._events[after:]
        return list(islice((event for event in events if selects(criteria, event)), limit))

    async def history(self, criteria: Criteria, after: int = 0, limit: int = 1000) -> list[StoredPayload]:
        events = await self.read(criteria, after, limit)
        return [StoredPayload(each.position, each.type, each.version, each.data) for each in events]

    async def head(self) -> int:
        return len(self._events)

    async def types(self, most: int) -> list[TypeCount]:
        found: defaultdict[str, list[int]] = defaultdict(list)
        for event in self._events:
            found[event.type].append(event.position)
        return [TypeCount(type_, min(len(at), most), at[0], at[-1]) for type_, at in sorted(found.items())]

    async def processed(self, append_id: str) -> ProcessedId | None:
        check_id(append_id)
        return self._processed.get(stored_key(append_id))

    async def read_processed(self, since: int, until: int, after: str = "", limit: int = 1000) -> list[ProcessedId]:
        found = [each for key, each in sorted(self._processed.items()) if key > after and since <= each.last <= until]
        return found[:limit]

    async def restore(self, events: Sequence[RecordedEvent], processed: Sequence[ProcessedId]) -> None:
        new_ids = not_remembered(processed, self._processed)
        if events:
            there = [event.id for event in self._events[events[0].position - 1 :]]
            self._events.extend(lacking(events, len(self._events), there[: len(events)]))
        self._processed.update({each.key: each for each in new_ids})

    async def changed(self, timeout_seconds: float) -> None:
        await asyncio.sleep(timeout_seconds)


class OtherSnapshots:
    """Snapshots beside the log."""

    def __init__(self, contents: Contents) -> None:
        self._snapshots = contents.snapshots

    async def load_snapshot(self, fold: str, key: str) -> Snapshot | None:
        return self._snapshots.get((fold, key))

    async def save_snapshot(self, fold: str, key: str, snapshot: Snapshot) -> None:
        kept = self._snapshots.get((fold, key))
        if kept is None or kept.position <= snapshot.position:
            self._snapshots[fold, key] = snapshot
