"""Live queries: each is answered once for all who watch it, and again whenever what it was read from has changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, TypeVar

from twofold.backoff import Backoff
from twofold.clock import Clock
from twofold.errors import TwofoldError
from twofold.followers import PositionWaiter, Standing, StandingsWatcher
from twofold.limits import Limits
from twofold.messages import Metadata, Query, current
from twofold.queries.answers import Answers, Result, key_of
from twofold.queries.broadcast import ANYWHERE, Broadcast, Subscription, has_ended
from twofold.queries.freshness import AT_ONCE, Freshness
from twofold.queries.updates import QueryFailure, ResumeToken
from twofold.queries.versions import ViewVersions
from twofold.telemetry.events import LiveFailed, LiveUpdated
from twofold.views import ViewStore

A = TypeVar("A")

_LONGEST_DEBT_SECONDS = 0.01
_BACKOFF = Backoff(first_seconds=1.0, longest_seconds=1.0)

_logger = logging.getLogger("twofold.service")


class LiveQueries:
    """The live queries of a service in this process: a broadcast for each query that somebody watches."""

    def __init__(
        self,
        service: str,
        answers: Answers,
        store: ViewStore,
        versions: ViewVersions,
        positions: PositionWaiter,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._service = service
        self._answers = answers
        self._telemetry = answers.telemetry
        self._versions = versions
        self._positions = positions
        self._watcher = StandingsWatcher(store, positions, clock, limits.queries)
        self._clock = clock
        self._limits = limits.live
        self._turn = asyncio.Semaphore(limits.live.concurrent_answers)
        self._owed_seconds = 0.0
        self._broadcasts: dict[tuple[str, bytes], Broadcast] = {}
        self._answering: dict[Broadcast, asyncio.Task[None]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    async def subscribe(self, query: Query[A], freshness: Freshness, since: ResumeToken) -> Subscription[A]:
        """Return a subscriber's place, once there is an answer and all that it was read from is fresh enough.

        It is told nothing from before either of the two, and the answer that it knows only after another one.
        """
        broadcast = self._broadcast(query)
        floor = max(freshness.position, since.receipt.position)
        subscription: Subscription[A] = Subscription(broadcast, floor, since.digest)
        try:
            await broadcast.first(freshness, self._clock)
            for follower in broadcast.followers:
                await self._positions.reach(follower, freshness.position, freshness.seconds_left(self._clock))
        except BaseException:
            broadcast.leave(subscription)
            raise
        return subscription

    def _broadcast(self, query: Query[Any]) -> Broadcast:
        key = key_of(query)
        broadcast = self._broadcasts.get(key)
        if broadcast is None:
            if self._closed:
                raise has_ended(self._service)
            broadcast = self._broadcasts[key] = Broadcast(self._service, key, query, self._drop, self._limits)
            self._answering[broadcast] = self._task(self._run(broadcast), f"live {key[0]}")
            if self._looking is None:
                self._looking = self._task(self._watcher.run(), "looks where followers stand")
        return broadcast

    def _task(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        return asyncio.create_task(work, name=f"{self._service} {name}")

    # Answering.

    async def _run(self, broadcast: Broadcast) -> None:
        """Answer a query again and again, until cancelled."""
        correlation = self._clock.new_id()
        current.set(Metadata(correlation=correlation))
        known: Mapping[str, Standing | None] | None = None
        while True:
            number = broadcast.number
            try:
                known = await self._answer(broadcast, await self._watcher.wait(known))
            except Exception as error:
                self._fail(broadcast, QueryFailure(error, correlation))
                known = None
                await self._clock.sleep(_BACKOFF.pause_seconds(1, self._clock.random()))
            if broadcast.number > number:
                await self._give_way()

    async def _answer(self, broadcast: Broadcast, now: Mapping[str, Standing]) -> Mapping[str, Standing | None]:
        """Answer from views that stand there or further on, and return where those stand that were read."""
        result = await self._find(broadcast.query)
        read = self._standings(result.tables.values(), now)
        broadcast.followers = tuple(read)
        position = min([each.position if each else 0 for each in read.values()], default=ANYWHERE)
        update = broadcast.tell(result.value, position)
        if update is not None and self._telemetry.has_listeners:
            self._telemetry.emit(LiveUpdated(len(update.data), len(broadcast.subscriptions), broadcast.key[0]))
        # Where an earlier version of a view answers, it is the later one's standing that shows when it does not any more.
        return read | self._standings(result.tables, now)

    def _fail(self, broadcast: Broadcast, failure: QueryFailure) -> None:
        if not broadcast.fail(failure):
            return
        name, error = broadcast.key[0], failure.error
        trace = None if isinstance(error, TwofoldError) else error
        extra = {"correlation": failure.correlation}
        _logger.error("%s cannot be answered for those who watch it: %s", name, error, exc_info=trace, extra=extra)
        if self._telemetry.has_listeners:
            self._telemetry.emit(LiveFailed(len(broadcast.subscriptions), name, type(error).__name__))

    async def _find(self, query: Query[Any]) -> Result:
        """Have a query answered: of many, some at a time, and with pauses that are as long as finding answers takes."""
        async with self._turn:
            if self._owed_seconds >= _LONGEST_DEBT_SECONDS:
                owed, self._owed_seconds = self._owed_seconds, 0.0
                await self._clock.sleep(owed)
            began = self._clock.monotonic()
            result = await self._answers.find(query, AT_ONCE)
            # What takes longer than this waits for the database, and leaves the process to others anyway.
            self._owed_seconds += min(self._clock.monotonic() - began, _LONGEST_DEBT_SECONDS)
            return result

    def _standings(self, tables: Iterable[str], now: Mapping[str, Standing]) -> dict[str, Standing | None]:
        """Return where those stand that fill some tables; if that is not known of one, all that fill any."""
        known = self._versions.standings(tables, now)
        return {name: now.get(name) for name in self._versions.followers} if known is None else known

    async def _give_way(self) -> None:
        """Pause for as long as the others took to hear the news: however many they are, half of the time is for the rest."""
        began = self._clock.monotonic()
        await asyncio.sleep(0)
        await self._clock.sleep(self._clock.monotonic() - began)

    # Ending.

    def _drop(self, broadcast: Broadcast) -> None:
        """Answer a query no more, as nobody watches it."""
        if broadcast in self._answering:
            del self._broadcasts[broadcast.key]
            self._end(self._answering.pop(broadcast))
        if not self._broadcasts and self._looking is not None:
            self._end(self._looking)
            self._looking = None

    def _end(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """End what runs, and tell all who watch."""
        self._closed = True
        for broadcast in list(self._answering):
            broadcast.close()
            self._drop(broadcast)
        await asyncio.gather(*self._ending, return_exceptions=True)
