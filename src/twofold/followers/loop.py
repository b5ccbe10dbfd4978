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
from twofold.errors import LeaseLost, LogUnavailable, TwofoldError
from twofold.followers.model import Claim, Parked, Segment
from twofold.followers.store import FollowerStore
from twofold.log import Batch

LEASE_SECONDS = 3.0
_ATTEMPTS = 4
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
        self._whole = True
        self._blocked: dict[str, Block] = {}

    @property
    def name(self) -> str:
        """The name under which the checkpoint is kept."""
        return self._target.name

    async def run(self) -> None:
        """Follow until cancelled. A lost lease or an unreachable database only pauses it."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                claim = await self._store.claim(self.name, self._owner, LEASE_SECONDS)
                if claim is not None:
                    await self._follow_claimed(claim)
                pause = _FIRST_PAUSE_SECONDS
            except LeaseLost:
                _logger.info("%s is followed by another process now.", self.name)
                pause = _FIRST_PAUSE_SECONDS
            except TwofoldError as error:
                pause = self._longer(pause)
                self.failing = str(error)
                _logger.warning("%s pauses: %s", self.name, error)
            except Exception:
                pause = self._longer(pause)
                self.failing = "it stopped on an error that its log shows"
                _logger.exception("%s stopped on an error of its own and starts again from its checkpoint.", self.name)
            await self._clock.sleep(pause)

    def _longer(self, pause: float) -> float:
        """Return the next pause: a longer one if nothing was done since the last."""
        return min(2 * pause, _LONGEST_PAUSE_SECONDS) if self.failing else _FIRST_PAUSE_SECONDS

    async def _follow_claimed(self, claim: Claim) -> None:
        self._blocked = dict.fromkeys(await self._target.start(claim), Block())
        self._whole = claim.segment == Segment()
        self._at(claim.position)
        keeping = asyncio.create_task(self._keep(claim))
        following = asyncio.create_task(self._follow(claim.position))
        try:
            await asyncio.wait([keeping, following], return_when=asyncio.FIRST_COMPLETED)
        finally:
            results = await _end(keeping, following)
            # From here on somebody else may move it, forwards or (rewound) back.
            self._moved(self.name, 0)
            with suppress(LogUnavailable):
                await self._store.release(claim)
        for error in results:
            raise error

    async def _follow(self, after: int) -> None:
        async for batch in self._target.batches(after):
            await self._settle(batch)
            self._at(batch.position)
            self.failing = ""

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
                if failures[failure.place] < _ATTEMPTS:
                    await self._clock.sleep(_FIRST_PAUSE_SECONDS * 2 ** failures[failure.place])
                    continue
                _logger.error("%s parks %s from position %d on: %s", self.name, lane, position, failure)
                self._blocked[lane] = Block(position, str(failure), _ATTEMPTS)
            else:
                return

    async def _keep(self, claim: Claim) -> None:
        """Renew the lease, and take up retries that were asked for."""
        while True:
            await self._clock.sleep(LEASE_SECONDS / 6)
            await self._store.renew(claim, LEASE_SECONDS)
            for lane in await self._store.take_retries(claim):
                async with self._turn:
                    if await self._target.retry(lane):
                        self._blocked.pop(lane, None)


async def _end(*tasks: asyncio.Task[None]) -> list[BaseException]:
    """Cancel what still runs, and return what the others failed with."""
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    return [result for result in results if result is not None and not isinstance(result, asyncio.CancelledError)]
