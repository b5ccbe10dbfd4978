"""Handling events key by key: in order within a key, many keys at once, retried and parked as a policy says.

It is for work that is not rows of a batch, such as a call over the network: one event of many can fail, and what the others
have done is done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Coroutine, Iterable, MutableMapping, Sequence
from functools import partial
from typing import Any

import msgspec

from twofold.clock import Clock
from twofold.followers import parking
from twofold.followers.loop import Block, EventFailed
from twofold.followers.mending import as_edited
from twofold.followers.model import Checkpoint, Claim, Parked
from twofold.followers.outage import Outage
from twofold.followers.recoverability import Discard, Failure, Park, Policy, RetryAfter, RetryNow
from twofold.followers.sparing import sparing
from twofold.followers.storable import storable_error
from twofold.followers.store import FollowerStore
from twofold.limits import HandlerLimits
from twofold.log import Batch, Criteria, Log, RecordedEvent
from twofold.telemetry.events import FollowerParked, FollowerRetried

_logger = logging.getLogger("twofold.followers")


class _Work(msgspec.Struct):
    """The events of a batch that one key has still before it, the first of them under way."""

    key: str
    events: list[RecordedEvent]


class KeyedHandler:
    """What event handlers, processes and the like have in common: a `BatchHandler` that works through a batch by its keys.

    A failure is stored before it is tried again, so that attempts are counted across restarts. A key that fails waits by
    itself, parked until its next attempt is due; all others go on. Where nearly all that comes fails, that is an `Outage`: one
    event after the other is tried as a probe, no attempt counts, and nothing is parked because of it.
    """

    name: str
    criteria: Criteria

    def __init__(self, log: Log, store: FollowerStore, clock: Clock, policy: Policy, limits: HandlerLimits) -> None:
        self._log = log
        self._store = store
        self._clock = clock
        self._policy = policy
        self._limits = limits
        self._turns = asyncio.Semaphore(limits.concurrent_keys)
        self._outage = Outage(self.name, clock, limits)
        self._committing = asyncio.Lock()
        self._ending = False
        self._claim: Claim
        self._position = 0

    # What is different from handler to handler.

    def keys(self, event: RecordedEvent) -> Sequence[str]:
        """Return the keys for which an event is handled, each as the text by which it is ordered and parked."""
        raise NotImplementedError

    async def handle(self, event: RecordedEvent, key: str, attempt: int) -> None:
        """Handle an event for a key.

        Raises:
            EventFailed: that failed, and the policy decides what becomes of it. Anything else has the whole batch done again.
        """
        raise NotImplementedError

    async def prepare(self, events: Sequence[RecordedEvent]) -> None:
        """Make ready for the events of a batch."""

    async def commit(self, checkpoint: Checkpoint) -> None:
        """Store a checkpoint, with the effects that are stored with it."""
        await self._store.commit(checkpoint)

    # What the following loop asks.

    def batches(self, after: int) -> AsyncIterator[Batch[RecordedEvent]]:
        return sparing(self._log.follow(self.criteria, after, self._limits.batch_events))

    async def start(self, claim: Claim) -> Collection[str]:
        self._claim = claim
        self._position = claim.position
        self._ending = False
        return await parking.parked_keys(self._store, self.name)

    async def apply(self, events: Sequence[RecordedEvent], position: int, blocked: MutableMapping[str, Block]) -> None:
        new = [event for event in events if event.position > self._position]
        await self.prepare(new)
        works, parked = self._sorted(new, blocked)
        working = asyncio.ensure_future(self._all(self._work(each, blocked, parked) for each in works))
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:
            await self._finish(working)
            # What is not done is handled by whoever follows next, and what is done is not, as far as a position can say so.
            left = [event.position for each in works for event in each.events]
            await self._save(min(left) - 1 if left else position, parked)
            raise
        await self._save(position, parked)

    async def retry(self, keys: Sequence[str]) -> Collection[str]:
        free: list[str] = []
        await self._all(self._retry(key, free) for key in keys)
        return free

    # One batch.

    def _sorted(
        self, events: Sequence[RecordedEvent], blocked: MutableMapping[str, Block]
    ) -> tuple[list[_Work], list[Parked]]:
        """Return what there is to do for each key, and what is parked as its key is blocked."""
        works: dict[str, _Work] = {}
        parked = []
        for event in events:
            for key in filter(self._claim.segment.owns, self.keys(event)):
                if key in blocked:
                    parked.append(self._behind(event, key))
                elif key in works:
                    works[key].events.append(event)
                else:
                    works[key] = _Work(key, [event])
        return [*works.values()], parked

    async def _work(self, work: _Work, blocked: MutableMapping[str, Block], parked: list[Parked]) -> None:
        """Handle the events of one key, in order, up to one that has to wait."""
        while work.events and not self._ending:
            async with self._turns:
                event = work.events[0]
                if not await self._is_through(event, work.key, 0):
                    blocked[work.key] = Block(event.position)
                    parked += [self._behind(each, work.key) for each in work.events[1:]]
                    work.events.clear()
                    return
                work.events.pop(0)

    async def _retry(self, key: str, free: list[str]) -> None:
        """Handle the parked events of a key that are due, in order; take note of the key if none is left."""
        async with self._turns:
            # To the store, the key '' means any.
            parked = await parking.parked(self._store, self.name, key)
            for each in [each for each in parked if each.key == key]:
                is_due = not each.error or 0 < each.retry_at_us <= self._clock.now_us()
                if self._ending or not is_due:
                    return
                (event,) = await self._log.read(after=each.position - 1, limit=1)
                event = await as_edited(self._log, event, self.name, key)
                if not await self._is_through(event, key, each.attempts, is_parked=True):
                    return
        free.append(key)

    async def _is_through(self, event: RecordedEvent, key: str, attempts: int, *, is_parked: bool = False) -> bool:
        """Handle an event as often as the policy says, and say whether the key may go on."""
        while True:
            try:
                await self._outage.run(partial(self.handle, event, key, attempts + 1))
            except EventFailed as failed:
                cause = failed.__cause__ or failed
            else:
                self._outage.succeeded()
                if is_parked:
                    await self._unpark(event, key)
                return True
            decision = self._policy(Failure(self.name, key, event.position, cause, attempts + 1, self._clock.now_us()))
            if isinstance(decision, RetryNow | RetryAfter) and self._outage.failed(key, cause):
                # It is not the event's fault, so that does not count.
                continue
            attempts += 1
            if isinstance(decision, Discard):
                _logger.warning("%s leaves out position %d of %s: %s", self.name, event.position, key, decision.reason)
                if is_parked:
                    await self._unpark(event, key)
                return True
            is_parked = True
            await self._note(event, key, cause, decision, attempts)
            if not isinstance(decision, RetryNow):
                return False

    async def _note(
        self,
        event: RecordedEvent,
        key: str,
        cause: BaseException,
        decision: RetryNow | RetryAfter | Park,
        attempts: int,
    ) -> None:
        """Store that an event has failed once more, and when it is tried again: before it is."""
        now_us, error = self._clock.now_us(), storable_error(cause)
        # 0 is never, so what is due at once is due from 1 on.
        due_us = {Park: 0, RetryNow: 1}.get(type(decision), now_us + round(getattr(decision, "seconds", 0) * 1_000_000))
        await self._save(self._position, [Parked(self.name, key, event.position, error, 1, now_us, due_us)])
        telemetry = self._log.telemetry
        if isinstance(decision, Park):
            _logger.error("%s parks %s from position %d on: %s", self.name, key or "its events", event.position, error)
        if telemetry.has_listeners:
            kind = FollowerParked if isinstance(decision, Park) else FollowerRetried
            telemetry.emit(kind(attempts, self.name))

    async def _unpark(self, event: RecordedEvent, key: str) -> None:
        await self._save(self._position, (), [(key, event.position)])

    def _behind(self, event: RecordedEvent, key: str) -> Parked:
        return Parked(self.name, key, event.position, "", 0, self._clock.now_us())

    async def _save(
        self, position: int, parked: Iterable[Parked] = (), unparked: Iterable[tuple[str, int]] = ()
    ) -> None:
        async with self._committing:
            # While it waited, the position may have moved on.
            position = max(position, self._position)
            await self.commit(Checkpoint(self._claim, position, tuple(parked), tuple(unparked)))
            self._position = position

    async def _all(self, works: Iterable[Coroutine[Any, Any, None]]) -> None:
        """Do several things at once; if one cannot be done, the others come to their end before that is told."""
        results = await asyncio.gather(*works, return_exceptions=True)
        for each in results:
            if isinstance(each, BaseException):
                raise each

    async def _finish(self, working: asyncio.Future[None]) -> None:
        """Let come to its end what is under way, and begin nothing more."""
        self._ending = True
        await asyncio.wait([working], timeout=self._limits.finishing_seconds)
        working.cancel()
        await asyncio.wait([working])
