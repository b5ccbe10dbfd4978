"""The following loop: from a checkpoint, in batches, with the effect and the next checkpoint stored together.

What fails is tried again after a pause. What keeps failing is set aside with all later events of its key, in order, and
everything else flows on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, MutableMapping, Sequence
from typing import Any, Protocol

import msgspec

from twofold.backoff import Backoff
from twofold.clock import Clock
from twofold.errors import BrokerUnavailable, EventsMissing, TwofoldError, ValueRefused
from twofold.followers import parking
from twofold.followers.model import Claim, Parked
from twofold.followers.standstill import Standstill
from twofold.followers.storable import storable_error
from twofold.followers.store import FollowerStore
from twofold.limits import FollowerLimits
from twofold.log import Batch
from twofold.telemetry import Telemetry
from twofold.telemetry.events import FollowerHandled, FollowerParked, FollowerRetried, FollowerUnparked

_RETRIES_SECONDS = 0.5
_PAUSES_PER_BATCH = 12
_FIRST_PAUSE_SECONDS = 0.1

_logger = logging.getLogger("twofold.followers")


class EventFailed(Exception):
    """Raised by a handler: handling this event for this key failed, and nothing of the batch was stored.

    ``also`` are those that failed with it, each for a key of its own.
    """

    def __init__(self, position: int, key: str, cause: BaseException, also: Sequence[EventFailed] = ()) -> None:
        super().__init__(storable_error(cause))
        self.subject = (position, key)
        self.is_refused = isinstance(cause, ValueRefused)
        """Whether what was made of it is refused for good, so that trying again would not help."""
        self.also = also


class Block(msgspec.Struct, frozen=True):
    """From which position on a key's events are parked, and why the first of them is."""

    since: int = 0
    error: str = ""
    attempts: int = 0

    def park(self, follower: str, key: str, position: int, now_us: int) -> Parked:
        """Return what to keep of an event that this block holds back."""
        if position == self.since:
            return Parked(follower, key, position, self.error, self.attempts, now_us)
        return Parked(follower, key, position, "", 0, now_us)


class BatchHandler(Protocol):
    """What a follower does with events."""

    name: str

    def batches(self, after: int) -> AsyncIterator[Batch[Any]]:
        """Yield what there is after a position, for ever. Asking for the next batch says that the last one is done."""
        ...

    async def start(self, claim: Claim) -> Collection[str]:
        """Forget everything remembered of an earlier claim, and return the keys that are parked."""
        ...

    async def apply(self, events: Sequence[Any], position: int, blocked: MutableMapping[str, Block]) -> None:
        """Store the effect of the events and the checkpoint, all or nothing; park what belongs to a blocked key.

        A handler that parks by itself adds the keys to those that are blocked.

        Raises:
            EventFailed: an event could not be handled.
        """
        ...

    async def retry(self, keys: Sequence[str]) -> Collection[str]:
        """Handle the parked events of some keys, in order as far as they succeed; return the keys of which none is left."""
        ...


class Follower:
    """One handler's loop in one process, over one segment of keys. ``advanced`` is called after each batch."""

    def __init__(
        self,
        store: FollowerStore,
        handler: BatchHandler,
        clock: Clock,
        advanced: Callable[[], None] = lambda: None,
        limits: FollowerLimits = FollowerLimits(),
        telemetry: Telemetry | None = None,
    ) -> None:
        self._store = store
        self._telemetry = telemetry or Telemetry(clock)
        self._handler = handler
        self._clock = clock
        self._advanced = advanced
        self._attempts = limits.attempts
        self._backoff = Backoff(_FIRST_PAUSE_SECONDS, limits.longest_pause_seconds)
        self._turn = asyncio.Lock()
        self.position = 0
        self.fence = -1
        self.failing = ""
        self.standstill = Standstill(clock)
        self._noted = ""
        self._lacks_proof = self._lacks_events = False
        self._failures = 0
        self._blocked: dict[str, Block] = {}

    @property
    def name(self) -> str:
        """The name under which the checkpoint is kept."""
        return self._handler.name

    async def follow(self, claim: Claim) -> None:
        """Follow a claimed segment until cancelled, or until it is to be merged.

        Raises:
            LeaseLost: the segment was given to another owner.
            Exception: whatever keeps the handler from going on.
        """
        tasks: list[asyncio.Task[None]] = []
        try:
            self._noted, self.fence = self.failing, claim.fence
            parked = await self._handler.start(claim)
            self._blocked = dict.fromkeys(filter(claim.segment.owns, parked), Block())
            self._at(claim.position)
            tasks = [asyncio.create_task(each) for each in (self._take_up_retries(claim), self._follow(claim))]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            results = await _end(*tasks)
        for error in results:
            raise error
        if not claim.merge_at or self.position < claim.merge_at:
            raise RuntimeError("what was to be done for ever has ended: something in it was cancelled from within")

    async def _follow(self, claim: Claim) -> None:
        async for found in self._handler.batches(claim.position):
            batch = _up_to(claim.merge_at, found)
            began = self._telemetry.began()
            await self._handle(batch)
            if batch.events or batch.position > self.position or not self._lacks_events:
                self._succeeds()
            self._at(batch.position)
            if began is not None:
                self._telemetry.emit(self._handled(batch, began))
            if claim.merge_at and claim.merge_at == batch.position:
                return

    def _handled(self, batch: Batch[Any], began: float) -> FollowerHandled:
        return FollowerHandled(
            seconds=self._telemetry.since(began),
            events=len(batch.events),
            lag_events=batch.head - batch.position,
            age_seconds=self._telemetry.age(batch.events[0].recorded_at_us) if batch.events else 0.0,
            follower=self.name,
        )

    def fails(self, error: TwofoldError) -> None:
        """Take note of why it has ended, and say so."""
        self.failing = str(error)
        self._lacks_proof = isinstance(error, BrokerUnavailable)
        self._lacks_events = isinstance(error, EventsMissing)
        self.standstill.tell(self.name, self.failing)

    def _succeeds(self) -> None:
        self.failing = ""
        self._lacks_proof = self._lacks_events = False
        self.standstill.end(self.name)
        self._failures = 0

    def next_pause(self) -> float:
        """Return for how many seconds to wait before it is followed again; longer each time that it has not moved."""
        self._failures += 1
        return self._backoff.pause_seconds(self._failures, self._clock.random())

    def goes_on(self) -> None:
        """Take note that it still goes on: what failed before the last such note has passed.

        A broker that was away may not have answered yet, which can take long: that it is there is shown by what it does.
        """
        if self.failing == self._noted and not self._lacks_proof:
            self.failing = ""
        self._noted = self.failing

    def _at(self, position: int) -> None:
        self.position = position
        self._advanced()

    async def _handle(self, batch: Batch[Any]) -> None:
        """Have a batch handled, with a pause after each failure; block the keys of what fails too often."""
        failures: Counter[tuple[int, str]] = Counter()
        while True:
            try:
                async with self._turn:
                    await self._handler.apply(batch.events, batch.position, self._blocked)
            except EventFailed as failure:
                failures[failure.subject] += 1
                attempts = failures[failure.subject]
                # Where very many keys fail, it is not for a reason that passes, and the others have waited enough.
                if not failure.is_refused and attempts < self._attempts and failures.total() <= _PAUSES_PER_BATCH:
                    self.failing = str(failure)
                    if self._telemetry.has_listeners:
                        self._telemetry.emit(FollowerRetried(attempts, self.name))
                    await self._clock.sleep(self._backoff.pause_seconds(attempts, self._clock.random()))
                    continue
                for each in (failure, *failure.also):
                    self._park(each, attempts)
            else:
                return

    def _park(self, failure: EventFailed, attempts: int) -> None:
        position, key = failure.subject
        # Nothing of the batch is stored: what failed first may be a later event, which met what is refused as a row.
        if key in self._blocked and self._blocked[key].since <= position:
            raise failure
        _logger.error("%s parks %s from position %d on: %s", self.name, key or "its events", position, failure)
        self._blocked[key] = Block(position, str(failure), attempts)
        if self._telemetry.has_listeners:
            self._telemetry.emit(FollowerParked(attempts, self.name))

    async def _take_up_retries(self, claim: Claim) -> None:
        """Try parked events again when that was asked for; where no key is parked, there is nothing to ask for."""
        while True:
            await self._clock.sleep(_RETRIES_SECONDS)
            if not self._blocked:
                continue
            if keys := await parking.due_retries(self._store, claim, self._clock.now_us()):
                async with self._turn:
                    await self._retry(keys)

    async def _retry(self, keys: Sequence[str]) -> None:
        began = self._telemetry.began()
        for key in await self._handler.retry(keys):
            self._blocked.pop(key, None)
            if began is not None:
                self._telemetry.emit(FollowerUnparked(self._telemetry.since(began), self.name))


def _up_to(position: int, batch: Batch[Any]) -> Batch[Any]:
    """Return of a batch what there is up to a position; 0 is no limit."""
    if not position or batch.position <= position:
        return batch
    return Batch([event for event in batch.events if event.position <= position], position, batch.head)


async def _end(*tasks: asyncio.Task[None]) -> list[BaseException]:
    """Cancel what still runs, and return what the others failed with."""
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    return [result for result in results if result is not None and not isinstance(result, asyncio.CancelledError)]
