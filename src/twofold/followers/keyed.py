"""Handling events key by key: in order within a key, many keys at once, retried and parked as a policy says.

It is for work that is not rows of a batch, such as a call over the network: one event of many can fail, and what the others
have done is done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Coroutine, Iterable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from twofold.clock import Clock
from twofold.followers import parking
from twofold.followers.loop import Block, EventFailed
from twofold.followers.mending import as_edited
from twofold.followers.model import Checkpoint, Claim, Parked
from twofold.followers.outage import Outage
from twofold.followers.recoverability import Decision, Discard, Failure, Park, Policy, RetryAfter, RetryNow
from twofold.followers.sparing import sparing
from twofold.followers.storable import storable_error
from twofold.followers.store import FollowerStore
from twofold.limits import HandlerLimits
from twofold.log import Batch, Criteria, Log, RecordedEvent
from twofold.telemetry.events import FollowerDiscarded, FollowerParked, FollowerRetried

_logger = logging.getLogger("twofold.followers")


class _Ending(Exception):
    """Raised where something would be begun although all is coming to its end."""


class Work(msgspec.Struct):
    """The events of a batch that one key has still before it, the first of them under way.

    ``waits`` is None until that takes so long that the batch goes on without it; then it is set once its events are stored as
    waiting.
    """

    key: str
    events: list[RecordedEvent]
    waits: asyncio.Event | None = None


class KeyedHandler:
    """What event handlers, processes and the like have in common: a `BatchHandler` that works through a batch by its keys.

    A failure is stored before it is tried again, so that attempts are counted across restarts. A key that fails waits by
    itself, parked until its next attempt is due; all others go on. Where nearly all that comes fails, that is an `Outage`: one
    event after the other is tried as a probe, no attempt counts, and nothing is parked because of it.

    What takes long holds up its own key: its events are stored as waiting, and the batch goes on without it.

    When it has to end, or something else than an event fails, what is under way comes to its end and nothing more is begun.
    """

    name: str
    criteria: Criteria
    leaves_rest = False
    """Whether what is left of a batch that ends early, or takes long, is stored as waiting: what is done is not done again."""

    def __init__(self, log: Log, store: FollowerStore, clock: Clock, policy: Policy, limits: HandlerLimits) -> None:
        self._log = log
        self._store = store
        self._clock = clock
        self._policy = policy
        self._limits = limits
        self._turns = asyncio.Semaphore(limits.concurrent_keys)
        self._outage = Outage(self.name, clock, limits, log.telemetry)
        self._committing = asyncio.Lock()
        self._ending = False
        self._slow: dict[str, asyncio.Task[None]] = {}
        self._claim: Claim
        self._position = 0

    # What is different from handler to handler.

    def keys(self, event: RecordedEvent) -> Sequence[str]:
        """Return the keys for which an event is handled, each as the text by which it is ordered and parked."""
        raise NotImplementedError

    async def handle(self, event: RecordedEvent, key: str, attempt: int) -> None:
        """Handle an event for a key.

        Raises:
            EventFailed: that failed, and the policy decides what becomes of it. After anything else the follower begins again,
                and the event is handled then.
        """
        raise NotImplementedError

    async def prepare(self, events: Sequence[RecordedEvent]) -> None:
        """Make ready for the events of a batch."""

    async def commit(self, checkpoint: Checkpoint) -> None:
        """Store a checkpoint, with the effects that are stored with it."""
        await self._store.commit(checkpoint)

    # What the following loop asks.

    async def batches(self, after: int) -> AsyncIterator[Batch[RecordedEvent]]:
        # What is begun by a later claim is not ended by what is left of this one.
        slow = self._slow
        try:
            async for batch in sparing(self._log.follow(self.criteria, after, self._limits.batch_events)):
                yield batch
        finally:
            await self._finish(slow.values())

    async def start(self, claim: Claim) -> Collection[str]:
        # Where storing a checkpoint has failed, something of the claim before may be under way still.
        await self._finish(self._slow.values())
        self._slow = {}
        self._claim = claim
        self._position = claim.position
        self._ending = False
        return await parking.parked_keys(self._store, self.name)

    async def apply(self, events: Sequence[RecordedEvent], position: int, blocked: MutableMapping[str, Block]) -> None:
        self._check_slow()
        new = [event for event in events if event.position > self._position]
        await self.prepare(new)
        works, parked = self._sorted(new, blocked)
        unparked: list[tuple[str, int]] = []
        try:
            await self._to_the_end({each.key: self._work(each, blocked, parked, unparked) for each in works})
            if self._ending:
                # What was not begun is not done, so this is no batch that is through.
                raise _Ending(f"{self.name} comes to its end")
        except BaseException:
            await self._finish(self._slow.values())
            await self._leave(position, works, parked, unparked)
            raise
        slow = [each for each in works if each.key in self._slow]
        for each in slow:
            each.waits = asyncio.Event()
            blocked[each.key] = Block(each.events[0].position)
            parked += [self._behind(event, each.key) for event in each.events]
        try:
            await self._save_even_if_ended(position, parked, unparked)
        finally:
            for each in slow:
                if each.waits is not None:
                    each.waits.set()

    async def _leave(
        self, position: int, works: Sequence[Work], parked: Sequence[Parked], unparked: Sequence[tuple[str, int]]
    ) -> None:
        """Store how far a batch was done that has ended early."""
        left = [self._behind(event, each.key) for each in works for event in each.events]
        if left and not self.leaves_rest:
            position, left = min(each.position for each in left) - 1, []
        await self._save(position, [*parked, *left], unparked)

    async def retry(self, keys: Sequence[str]) -> Collection[str]:
        self._check_slow()
        free: list[str] = []
        waiting = [key for key in keys if key not in self._slow]
        if self._outage.is_on:
            # One of them is tried, when it is time for that: what is new has its turn meanwhile, and may well succeed.
            waiting = waiting[:1] if self._outage.is_time else []
        await self._to_the_end({key: self._retry(key, free) for key in waiting})
        return free

    # One batch.

    def _sorted(
        self, events: Sequence[RecordedEvent], blocked: MutableMapping[str, Block]
    ) -> tuple[list[Work], list[Parked]]:
        """Return what there is to do for each key, and what is parked as its key is blocked."""
        works: dict[str, Work] = {}
        parked = []
        for event in events:
            for key in filter(self._claim.segment.owns, self.keys(event)):
                if key in blocked:
                    parked.append(self._behind(event, key))
                elif key in works:
                    works[key].events.append(event)
                else:
                    works[key] = Work(key, [event])
        return [*works.values()], parked

    async def _work(
        self,
        work: Work,
        blocked: MutableMapping[str, Block],
        parked: list[Parked],
        unparked: list[tuple[str, int]],
    ) -> None:
        """Handle the events of one key, in order, up to one that has to wait."""
        with suppress(_Ending):
            while work.events:
                async with self._turns:
                    event = work.events[0]
                    attempts = await self._attempt(event, work.key, 0)
                if attempts is None:
                    blocked[work.key] = Block(event.position)
                    parked += [self._behind(each, work.key) for each in work.events[1:]]
                    work.events.clear()
                elif work.waits is not None:
                    # The batch has gone on. What is behind it waits, and is taken up like all that does.
                    await work.waits.wait()
                    await self._save(self._position, (), [(work.key, event.position)])
                    return
                else:
                    if attempts:
                        unparked.append((work.key, event.position))
                    work.events.pop(0)

    async def _retry(self, key: str, free: list[str]) -> None:
        """Handle the parked events of a key that are due, in order; take note of the key if none is left."""
        was_on = self._outage.is_on
        with suppress(_Ending):
            async with self._turns:
                if self._outage.is_on and not was_on:
                    return
                # To the store, the key '' means any.
                parked = await parking.parked(self._store, self.name, key)
                for each in [each for each in parked if each.key == key]:
                    if not self._is_due(each):
                        return
                    (event,) = await self._log.read(after=each.position - 1, limit=1)
                    event = await as_edited(self._log, event, self.name, key)
                    if await self._attempt(event, key, each.attempts, is_parked=True) is None:
                        return
                    await self._save(self._position, (), [(key, event.position)])
            free.append(key)

    def _is_due(self, parked: Parked) -> bool:
        """Say whether a parked event may be handled now, if nothing of its key is parked before it.

        What a process has stored that was killed may be further on than its checkpoint: it comes again with its batch, after
        what is before it.
        """
        if parked.position > self._position:
            return False
        return not parked.error or 0 < parked.retry_at_us <= self._clock.now_us()

    async def _attempt(self, event: RecordedEvent, key: str, attempts: int, *, is_parked: bool = False) -> int | None:
        """Handle an event as often as the policy says; return how many attempts have failed, None if the key has to wait."""
        while True:
            begin = partial(self._begin, event, key, attempts + 1)
            try:
                await (begin() if is_parked else self._outage.run(begin))
            except EventFailed as failed:
                cause = failed.__cause__ or failed
            else:
                self._outage.succeeded()
                return attempts
            if self._may_pass(event, key, cause) and self._outage.failed(key, cause):
                # It is not the event's fault, so that does not count. What is parked waits where it is.
                if is_parked:
                    return None
                continue
            attempts += 1
            decision = self._judged(event, key, cause, attempts)
            if isinstance(decision, Discard):
                self._tell_discarded(event, key, decision, attempts)
                return attempts
            await self._note(event, key, cause, decision, attempts)
            if not isinstance(decision, RetryNow):
                return None

    async def _begin(self, event: RecordedEvent, key: str, attempt: int) -> None:
        if self._ending:
            raise _Ending
        await self.handle(event, key, attempt)

    # What becomes of a failure.

    def _may_pass(self, event: RecordedEvent, key: str, cause: BaseException) -> bool:
        """Say whether an error is one that the policy has tried again, at least if it is the first."""
        return isinstance(self._judged(event, key, cause, 1), RetryNow | RetryAfter)

    def _judged(self, event: RecordedEvent, key: str, cause: BaseException, attempts: int) -> Decision:
        failure = Failure(self.name, key, event.position, cause, attempts, self._clock.now_us())
        try:
            decision = self._policy(failure)
        except Exception:
            _logger.exception("The policy of %s fails on position %d of %s.", self.name, event.position, key)
            return Park()
        if not isinstance(decision, Decision):
            _logger.error("The policy of %s returns %r, which is none of its answers.", self.name, decision)
            return Park()
        return decision

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

    def _tell_discarded(self, event: RecordedEvent, key: str, decision: Discard, attempts: int) -> None:
        _logger.warning("%s leaves out position %d of %s: %s", self.name, event.position, key, decision.reason)
        if self._log.telemetry.has_listeners:
            self._log.telemetry.emit(FollowerDiscarded(attempts, self.name))

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

    async def _save_even_if_ended(
        self, position: int, parked: Iterable[Parked], unparked: Iterable[tuple[str, int]]
    ) -> None:
        """Store a checkpoint, also where all is to end meanwhile: what is done would be done again."""
        saving = asyncio.ensure_future(self._save(position, parked, unparked))
        try:
            await asyncio.shield(saving)
        except asyncio.CancelledError:
            await self._finish([saving])
            raise

    # Coming to an end.

    async def _to_the_end(self, works: Mapping[str, Coroutine[Any, Any, None]]) -> None:
        """Do several things at once, by key. If one cannot be done, or all is to end, the others come to their end before.

        What takes long goes on, and is not waited for any more.
        """
        tasks = {key: asyncio.create_task(each) for key, each in works.items()}
        errors: list[BaseException] = []
        try:
            await self._wait_for([*tasks.values()])
            self._slow |= {key: each for key, each in tasks.items() if not each.done()}
        finally:
            await self._finish([each for key, each in tasks.items() if key not in self._slow])
            ended = [each for each in tasks.values() if each.done() and not each.cancelled()]
            errors += [error for each in ended if (error := each.exception()) is not None]
            if not self._ending and any(each.cancelled() for each in tasks.values()):
                errors.append(
                    RuntimeError(f"{self.name} has handled an event that cancelled the task it was handled in")
                )
        if errors:
            raise errors[0]

    async def _wait_for(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Wait until all is done or something fails, or what is left takes long and there is room for it."""
        pending = {*tasks}
        seconds = self._limits.slow_seconds if self.leaves_rest else None
        while pending:
            done, pending = await asyncio.wait(pending, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
            if any(not each.cancelled() and each.exception() for each in done):
                await self._finish(pending)
            elif len(self._slow) + len(pending) <= self._limits.concurrent_keys and not self._outage.is_on:
                return

    def _check_slow(self) -> None:
        """Forget what took long and has come to its end.

        Raises:
            Exception: it has failed for a reason that is not an event's.
        """
        for key, task in [*self._slow.items()]:
            if task.done():
                del self._slow[key]
                if not task.cancelled() and (error := task.exception()) is not None:
                    raise error

    async def _finish(self, begun: Iterable[asyncio.Task[None]]) -> None:
        """Let come to its end what is under way, for some seconds, and begin nothing more."""
        begun = [*begun]
        tasks = [each for each in begun if not each.done()]
        if tasks:
            await self._end(tasks)
        for each in begun:
            if not each.cancelled():
                # Whoever goes on asks for it again; where nobody does, it is no news.
                each.exception()

    async def _end(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        self._ending = True
        self._outage.end()
        try:
            await asyncio.wait(tasks, timeout=self._limits.finishing_seconds)
        finally:
            for each in tasks:
                each.cancel()
        await asyncio.wait(tasks)
