"""The following loop: from a checkpoint, in batches, with the effect and the next checkpoint stored together.

What fails is tried again after a pause. What keeps failing is set aside with all later events of its key, in order, and
everything else flows on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import msgspec

from twofold.clock import Clock
from twofold.errors import LeaseLost, TwofoldError
from twofold.followers.model import Claim, Parked, Segment
from twofold.followers.store import FollowerStore
from twofold.log import Batch

LEASE_SECONDS = 3.0
_KEEPING_SECONDS = LEASE_SECONDS / 6
_STANDBY_SECONDS = 0.2
_FAREWELL_SECONDS = 1.0
_ATTEMPTS = 4
_PAUSES_PER_BATCH = 12
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 5.0

_logger = logging.getLogger("twofold.followers")


class EventFailed(Exception):
    """Raised by a target: handling this event for this key failed, and nothing of the batch was stored."""

    def __init__(self, position: int, lane: str, cause: Exception) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}")
        self.place = (position, lane)


class Block(msgspec.Struct, frozen=True):
    """From which position on a key's events are parked, and why the first of them is."""

    since: int = 0
    error: str = ""
    attempts: int = 0

    def park(self, follower: str, lane: str, position: int, now_us: int) -> Parked:
        """Return what to keep of an event that this block holds back."""
        if position == self.since:
            return Parked(follower, lane, position, self.error, self.attempts, now_us)
        return Parked(follower, lane, position, "", 0, now_us)


class Target(Protocol):
    """What a follower does with events."""

    name: str

    def batches(self, after: int) -> AsyncIterator[Batch[Any]]:
        """Yield what there is after a position, for ever. Asking for the next batch says that the last one is done."""
        ...

    async def start(self, claim: Claim) -> Collection[str]:
        """Forget everything remembered of an earlier claim, and return the keys that are parked."""
        ...

    async def apply(self, events: Sequence[Any], position: int, blocked: Mapping[str, Block]) -> None:
        """Store the effect of the events and the checkpoint, all or nothing; park what belongs to a blocked key.

        Raises:
            EventFailed: an event could not be handled.
        """
        ...

    async def retry(self, lane: str) -> bool:
        """Handle the parked events of a key in order, as far as they succeed; say whether none are left."""
        ...


class Follower:
    """One target's loop in one process, over one segment at a time.

    ``moved`` is told the name and the position after each batch of a follower that has all keys.
    """

    def __init__(
        self,
        store: FollowerStore,
        target: Target,
        clock: Clock,
        owner: str,
        moved: Callable[[str, int], None] = lambda name, position: None,
    ) -> None:
        self._store = store
        self._target = target
        self._clock = clock
        self._owner = owner
        self._moved = moved
        self._turn = asyncio.Lock()
        self.position = 0
        self.failing = ""
        self._pause = _FIRST_PAUSE_SECONDS
        self._whole = True
        self._blocked: dict[str, Block] = {}

    @property
    def name(self) -> str:
        """The name under which the checkpoint is kept."""
        return self._target.name

    async def run(self) -> None:
        """Follow until cancelled. A lost lease or an unreachable database only pauses it."""
        while True:
            try:
                claim = await self._claim()
                if claim is None:
                    self.failing = ""
                    await self._clock.sleep(_STANDBY_SECONDS)
                    continue
                await self._follow_claimed(claim)
            except LeaseLost:
                _logger.info("%s is followed by another process now.", self.name)
            except TwofoldError as error:
                self.failing = str(error)
                _logger.warning("%s pauses: %s", self.name, error)
            except Exception:
                self.failing = "it stopped on an error that its log shows"
                _logger.exception("%s stopped on an error of its own and starts again from its checkpoint.", self.name)
            await self._clock.sleep(self._pause)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)

    async def _claim(self) -> Claim | None:
        """Ask for a segment. One that is given too late is given back, or the next process would wait for its lease."""
        claiming = asyncio.ensure_future(self._store.claim(self.name, self._owner, LEASE_SECONDS))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            with suppress(Exception):
                async with asyncio.timeout(_FAREWELL_SECONDS):
                    claim = await claiming
                    if claim is not None:
                        await self._store.release(claim)
            raise

    async def _follow_claimed(self, claim: Claim) -> None:
        tasks: list[asyncio.Task[None]] = []
        try:
            self._blocked = dict.fromkeys(await self._target.start(claim), Block())
            self._whole = claim.segment == Segment()
            self._at(claim.position)
            work = (self._keep(claim), self._take_up_retries(claim), self._follow(claim.position))
            tasks = [asyncio.create_task(each) for each in work]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            results = await _end(*tasks)
            # From here on somebody else may move it, forwards or (rewound) back.
            self._moved(self.name, 0)
            with suppress(Exception):
                async with asyncio.timeout(_FAREWELL_SECONDS):
                    await self._store.release(claim)
        for error in results:
            raise error
        raise RuntimeError("what was to be done for ever has ended: something in it was cancelled from within")

    async def _follow(self, after: int) -> None:
        async for batch in self._target.batches(after):
            await self._settle(batch)
            self._at(batch.position)
            self.failing = ""
            self._pause = _FIRST_PAUSE_SECONDS

    def _at(self, position: int) -> None:
        self.position = position
        if self._whole:
            self._moved(self.name, position)

    async def _settle(self, batch: Batch[Any]) -> None:
        """Have a batch handled, with a pause after each failure; block the keys of what fails too often."""
        failures: Counter[tuple[int, str]] = Counter()
        while True:
            try:
                async with self._turn:
                    await self._target.apply(batch.events, batch.position, self._blocked)
            except EventFailed as failure:
                failures[failure.place] += 1
                self.failing = str(failure)
                position, lane = failure.place
                attempts = failures[failure.place]
                # Where very many keys fail, it is not for a reason that passes, and the others have waited enough.
                if attempts < _ATTEMPTS and failures.total() <= _PAUSES_PER_BATCH:
                    await self._clock.sleep(_FIRST_PAUSE_SECONDS * 2**attempts)
                    continue
                _logger.error("%s parks %s from position %d on: %s", self.name, lane, position, failure)
                self._blocked[lane] = Block(position, str(failure), attempts)
            else:
                return

    async def _keep(self, claim: Claim) -> None:
        """Renew the lease, whatever else takes long. What still goes on by the first renewal has recovered."""
        earlier = self.failing
        while True:
            await self._clock.sleep(_KEEPING_SECONDS)
            await self._store.renew(claim, LEASE_SECONDS)
            if self.failing == earlier:
                earlier = self.failing = ""

    async def _take_up_retries(self, claim: Claim) -> None:
        """Try parked events again when that was asked for; where no key is parked, there is nothing to ask for."""
        while True:
            await self._clock.sleep(_KEEPING_SECONDS)
            for lane in await self._store.take_retries(claim) if self._blocked else ():
                async with self._turn:
                    if await self._target.retry(lane):
                        self._blocked.pop(lane, None)


async def _end(*tasks: asyncio.Task[None]) -> list[BaseException]:
    """Cancel what still runs, and return what the others failed with."""
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    return [result for result in results if result is not None and not isinstance(result, asyncio.CancelledError)]
