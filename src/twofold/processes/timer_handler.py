"""Having timers come due: the handler that keeps the pending ones in a table, and appends those that are due to the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, MutableMapping, Sequence
from typing import Any, Final

import msgspec

from twofold.clock import Clock
from twofold.followers import Block, Checkpoint, Claim, EventFailed, KeyedHandler, Park, storable_key
from twofold.followers.sparing import sparing
from twofold.limits import HandlerLimits
from twofold.log import Appended, Batch, Conflict, Criterion, Guard, Log, RecordedEvent, Ticket
from twofold.messages import reader
from twofold.processes.recording import record
from twofold.processes.records import TimerDue, TimerSet
from twofold.processes.timers import (
    TIMER_RECORDS,
    PendingTimer,
    about,
    due_timers,
    next_due_us,
    pending_timer,
    timer_tag,
)
from twofold.views import TableChange, ViewStore, layout
from twofold.views.bounds import Packer

TIMERS: Final = "timers"
"""The name of the follower that has timers come due."""

_NEVER = 1 << 62
_LOOK_SECONDS = 1.0
_LAYOUT = layout(PendingTimer)
_PACKER = Packer(_LAYOUT)
_TAG = timer_tag("")


class TimerHandler(KeyedHandler):
    """Keeps the pending timers of a segment in a table, and has them come due: whoever follows the segment does.

    What follows from a timer is appended under a guard that it has not been set again, cancelled or come due since it was set.
    So the order of the log decides who was first, each comes due once whoever believes that it is to, and the table
    may be behind, or be lost and filled anew.
    """

    name = TIMERS
    criteria = (Criterion(types=tuple(TIMER_RECORDS)),)

    def __init__(self, log: Log, store: ViewStore, clock: Clock, limits: HandlerLimits) -> None:
        super().__init__(log, store, clock, lambda _: Park(), limits)
        self._views = store
        self._changes: dict[str, PendingTimer | None] = {}
        self._next_us = 0

    # The pending ones.

    async def start(self, claim: Claim) -> Collection[str]:
        self._changes.clear()
        self._next_us = 0
        return await super().start(claim)

    def keys(self, event: RecordedEvent) -> Sequence[str]:
        return [storable_key(each) for each in event.tags if each.startswith(_TAG)] or [self._claim.segment.nameless]

    async def apply(self, events: Sequence[RecordedEvent], position: int, blocked: MutableMapping[str, Block]) -> None:
        """Take note of a batch at once; key by key only where something in it cannot be read."""
        new = [event for event in events if event.position > self._position]
        works, parked = self._sorted(new, blocked)
        try:
            for work in works:
                for event in work.events:
                    self._take_note(event)
        except Exception:
            # Which one it is will be found out, and the others are taken note of once more.
            await super().apply(events, position, blocked)
        else:
            await self._save(position, parked)

    async def handle(self, event: RecordedEvent, key: str, attempt: int) -> None:
        try:
            self._take_note(event)
        except Exception as error:
            raise EventFailed(event.position, key, error) from error

    def _take_note(self, event: RecordedEvent) -> None:
        timer = reader(TIMER_RECORDS[event.type], event.version)(event.data)
        if isinstance(timer, TimerSet):
            self._changes[timer.id] = pending_timer(timer, event)
            self._next_us = min(self._next_us, timer.due_us)
        else:
            self._changes[timer.id] = None

    async def commit(self, checkpoint: Checkpoint) -> None:
        changed, self._changes = self._changes, {}
        puts = _PACKER.rows([row for row in changed.values() if row is not None])
        deletes = [_PACKER.key(timer) for timer, row in changed.items() if row is None]
        await self._views.commit(checkpoint, [TableChange(_LAYOUT, puts, deletes)] if changed else [])

    # Coming due.

    def batches(self, after: int) -> AsyncIterator[Batch[RecordedEvent]]:
        return sparing(self._batches(after))

    async def _batches(self, position: int) -> AsyncIterator[Batch[RecordedEvent]]:
        """Yield what the log has of timers; between two batches, when the first is stored, append what is due."""
        # What the log has already is folded first: most of what was once pending is not any more.
        fires_from = await self._log.head()
        batches = self._log.follow(self.criteria, position, self._limits.batch_events)
        coming: asyncio.Future[Batch[RecordedEvent]] | None = None
        try:
            while True:
                coming = coming or asyncio.ensure_future(anext(batches))
                if position >= fires_from and self._next_us <= self._clock.now_us():
                    fires_from = await self._fire(position)
                await self._wait(coming, may_fire=position >= fires_from)
                if coming.done():
                    batch, coming = coming.result(), None
                    position = batch.position
                    yield batch
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.wait([coming])

    async def _wait(self, coming: asyncio.Future[Batch[RecordedEvent]], *, may_fire: bool) -> None:
        """Wait for a batch or until the first timer is due; a look at the clock now and then tells that it was set."""
        if not may_fire or self._next_us == _NEVER:
            await asyncio.wait([coming])
            return
        seconds = min(max(0.0, (self._next_us - self._clock.now_us()) / 1_000_000), _LOOK_SECONDS)
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            both: set[asyncio.Future[Any]] = {coming, sleeping}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            await asyncio.wait([sleeping])

    async def _fire(self, position: int) -> int:
        """Append what is due, as much as a batch has, and return up to where that has to be folded before it goes on."""
        now_us, most = self._clock.now_us(), self._limits.batch_events
        self._next_us = _NEVER
        due = await due_timers(self._views, self._claim.segment, now_us, most)
        until = await self._append(due)
        if len(due) < most:
            next_us = await next_due_us(self._views, self._claim.segment, now_us)
        else:
            # If nothing comes of them, it is of no use to do it again at once.
            next_us = 0 if until > position else now_us + round(_LOOK_SECONDS * 1_000_000)
        self._next_us = min(self._next_us, _NEVER if next_us is None else next_us)
        return until

    async def _append(self, due: Sequence[PendingTimer]) -> int:
        """Append what follows from timers that are due, each by itself; return the last position that is about them."""
        until = 0
        for ticket in [self._queue(each) for each in due]:
            outcome = await ticket
            if isinstance(outcome, Appended):
                until = max(until, outcome.last)
            elif isinstance(outcome, Conflict):
                until = max(until, outcome.position)
        return until

    def _queue(self, timer: PendingTimer) -> Ticket:
        data = msgspec.Raw(timer.data)
        due = TimerDue(id=timer.key, due_us=timer.due_us, kind=timer.kind, data=data, instance=timer.instance)
        records = [due] if timer.command is None else [due, timer.command]
        guard = Guard(about(timer.key), after=timer.position)
        return record(self._log, records, "", self._clock, timer.metadata.encode(), guard)
