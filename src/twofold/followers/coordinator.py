"""What a process follows: it says again and again that it is there, and is assigned some of all segments."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

import msgspec

from twofold.clock import Clock
from twofold.errors import LeaseLost, TwofoldError
from twofold.followers import claiming
from twofold.followers.loop import BatchHandler, Follower
from twofold.followers.model import WHOLE, Claim, Segment
from twofold.followers.owners import here
from twofold.followers.standstill import Standstill
from twofold.followers.store import FollowerStore
from twofold.limits import FollowerLimits
from twofold.telemetry import Telemetry
from twofold.telemetry.events import FollowerStopped

_LOOKS_PER_LEASE = 6
_FAREWELL_SECONDS = 1.0

_logger = logging.getLogger("twofold.followers")
_Place: TypeAlias = tuple[str, Segment]


class _Work(msgspec.Struct):
    """A claim, and the following by it. One that ``rests`` has failed, and has given its claim back."""

    claim: Claim
    follower: Follower
    task: asyncio.Task[None] | None = None
    rests: bool = False


class Coordinator:
    """All followers of a service in one process, by name; each segment that is claimed gets a handler of its own.

    ``report`` is told the name and the position of a follower of which this process has all segments, and 0 when it has
    not any more.
    """

    def __init__(
        self,
        store: FollowerStore,
        handlers: Mapping[str, Callable[[], BatchHandler]],
        clock: Clock,
        service: str,
        report: Callable[[str, int], None] = lambda name, position: None,
        limits: FollowerLimits = FollowerLimits(),
        telemetry: Telemetry | None = None,
    ) -> None:
        self._store = store
        self._telemetry = telemetry or Telemetry(clock)
        self._limits = limits
        self._handlers = handlers
        self._clock = clock
        # As an operator knows it; two instances in one process are two owners.
        self.owner = f"{service}/{clock.new_id()[9:]}/{os.getpid()}@{here()}"
        self._report = report
        self._work: dict[_Place, _Work] = {}
        self._followers: dict[_Place, Follower] = {}
        self._away = ""
        self._standstill = Standstill(clock)
        self._again = asyncio.Event()

    async def run(self) -> None:
        """Follow until cancelled. Lost leases and unreachable databases only make it pause."""
        try:
            while True:
                await self._look()
                await self._wait()
        finally:
            await asyncio.gather(*[self._end(place) for place in self._work])
            with suppress(Exception):
                async with asyncio.timeout(_FAREWELL_SECONDS):
                    await claiming.leave(self._store, self.owner)

    @property
    def names(self) -> list[str]:
        """The followers that this process is ready for, whether it follows them now or another one does."""
        return [*self._handlers]

    def followers(self) -> list[Follower]:
        """Return what this process follows now."""
        return [work.follower for work in self._work.values() if not work.rests]

    def add(self, handlers: Mapping[str, Callable[[], BatchHandler]]) -> None:
        """Follow something more from now on."""
        self._handlers = {**self._handlers, **handlers}
        self.look_again()

    def look_again(self) -> None:
        """Look at once, and not only when it is time, what there is to follow."""
        self._again.set()

    def failing(self) -> dict[str, str]:
        """Return the followers that fail here, with the reason."""
        if self._away:
            return dict.fromkeys(self._handlers, self._away)
        return {name: follower.failing for (name, _), follower in self._followers.items() if follower.failing}

    async def _wait(self) -> None:
        """Wait until it is time to look again, or something has ended."""
        look_seconds = self._limits.lease_seconds / _LOOKS_PER_LEASE
        waiting = [asyncio.ensure_future(self._clock.sleep(look_seconds)), asyncio.ensure_future(self._again.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        self._again.clear()

    async def _look(self) -> None:
        resting = {name for (name, _), work in self._work.items() if work.rests}
        ready = [name for name in self._handlers if name not in resting]
        try:
            claims = await self._attend(ready)
        except TwofoldError as error:
            self._away = str(error)
            self._standstill.tell(", ".join(self._handlers), self._away)
        except Exception:
            self._away = "it cannot be found out what there is to follow: the log shows an error"
            _logger.exception("It cannot be found out what of %s is to be followed here.", ", ".join(self._handlers))
        else:
            self._away = ""
            self._standstill.end(", ".join(self._handlers))
            await self._assign({(claim.follower, claim.segment): claim for claim in claims}, ready)

    async def _attend(self, ready: list[str]) -> list[Claim]:
        """Ask for claims; what is given too late is waited for, so that leaving comes after it and gives it back."""
        attending = asyncio.ensure_future(claiming.attend(self._store, self.owner, ready, self._limits.lease_seconds))
        try:
            return await asyncio.shield(attending)
        except asyncio.CancelledError:
            with suppress(Exception):
                async with asyncio.timeout(_FAREWELL_SECONDS):
                    await attending
            raise

    async def _assign(self, claims: Mapping[_Place, Claim], ready: Sequence[str]) -> None:
        """Go on with what is still claimed, end what is not any more, and begin what is new."""
        for place, work in list(self._work.items()):
            if place in claims and claims[place].fence == work.claim.fence:
                work.follower.goes_on()
            elif not work.rests:
                await self._end(place)
        # What rested when claims were asked for could not be among them, and how long it has to rest is not forgotten.
        concerned = {*claims, *self._work, *[place for place in self._followers if place[0] not in ready]}
        self._followers = {place: each for place, each in self._followers.items() if place in concerned}
        for place, claim in claims.items():
            if place not in self._work:
                await self._begin(place, claim)

    async def _begin(self, place: _Place, claim: Claim) -> None:
        name = claim.follower
        if place not in self._followers:
            self._followers[place] = Follower(
                self._store,
                self._handlers[name](),
                self._clock,
                lambda: self._tell(name),
                self._limits,
                self._telemetry,
            )
        follower = self._followers[place]
        if claim.fence == follower.fence:
            # It could not be given back when it failed. What was on its way then may still be stored, so by this claim
            # nothing is begun again: from where would not be known.
            await self._give_back(claim)
            return
        work = self._work[place] = _Work(claim, follower)
        work.task = asyncio.create_task(self._follow(place, work), name=f"{name} from {claim.segment.low:#x}")

    async def _end(self, place: _Place) -> None:
        work = self._work[place]
        if work.task is not None:
            work.task.cancel()
            await asyncio.gather(work.task, return_exceptions=True)
        self._work.pop(place, None)

    async def _follow(self, place: _Place, work: _Work) -> None:
        follower, name = work.follower, work.follower.name
        try:
            await follower.follow(work.claim)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            # Whatever it is derived from: nobody else would say that this does not go on.
            self._stopped(follower, error)
        finally:
            work.rests = True
            # From here on somebody else may move it, forwards or (rewound) back.
            self._report(name, 0)
            await self._give_back(work.claim)
        await self._clock.sleep(follower.next_pause())
        del self._work[place]
        self._again.set()

    def _stopped(self, follower: Follower, error: BaseException) -> None:
        if self._telemetry.has_listeners:
            self._telemetry.emit(FollowerStopped(follower.name, type(error).__name__))
        if isinstance(error, LeaseLost):
            _logger.info("%s is followed by another process now.", follower.name)
        elif isinstance(error, TwofoldError):
            follower.fails(error)
        else:
            follower.failing = "it stopped on an error that its log shows"
            _logger.error(
                "%s stopped on an error of its own and starts again from its checkpoint.", follower.name, exc_info=error
            )

    async def _give_back(self, claim: Claim) -> None:
        with suppress(Exception):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await claiming.release(self._store, claim)

    def _tell(self, name: str) -> None:
        mine = [work for (each, _), work in self._work.items() if each == name and not work.rests]
        if sum(work.claim.segment.width for work in mine) == WHOLE:
            self._report(name, min(work.follower.position for work in mine))
