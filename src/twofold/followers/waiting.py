"""Waiting for views: until a follower has reached a position, or stands elsewhere."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from twofold.clock import Clock
from twofold.errors import ReceiptTimeout
from twofold.followers import checkpoints
from twofold.followers.model import Standing
from twofold.followers.store import FollowerStore
from twofold.limits import QueryLimits

_PAUSES_PER_LOOK = 10


class PositionWaiter:
    """Knows how far followers are: by being told, in this process, and by asking, for what others follow."""

    def __init__(self, ask: Callable[[str], Awaitable[int]], limits: QueryLimits = QueryLimits()) -> None:
        self._ask = ask
        self._poll_seconds = limits.poll_seconds
        self._positions: defaultdict[str, int] = defaultdict(int)
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self.advanced = asyncio.Event()
        """Set by each advance that is told here; whoever waits for any of them clears it before looking."""

    def advance(self, name: str, position: int) -> None:
        """Take note that a follower is at a position."""
        self._positions[name] = position
        self.advanced.set()
        for waiter in self._waiting.pop(name, ()):
            if not waiter.done():
                waiter.set_result(None)

    def has_reached(self, name: str, position: int) -> bool:
        """Say whether a follower is known to be at a position, without asking anybody."""
        return self._positions[name] >= position

    async def reach(self, name: str, position: int, timeout_seconds: float) -> None:
        """Return once the follower is at the position.

        Raises:
            ReceiptTimeout: it is not there in time; the text says where it is.
        """
        if self.has_reached(name, position):
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._reached(name, position)
                return
        reached = await self._ask(name)
        if reached < position:
            raise ReceiptTimeout(
                f"{name} is at position {reached} and not yet at {position} after {timeout_seconds:.2g} seconds. Ask "
                "again, or see with `twofold views list` and `twofold parked list` what holds it up."
            )

    async def _reached(self, name: str, position: int) -> None:
        # What this process follows is told, and asked only when it keeps quiet.
        quiet = not self._positions[name]
        while self._positions[name] < position:
            # It may move while it is asked: who waits is there before the question.
            with self._future(name) as advanced:
                if quiet and await self._ask(name) >= position:
                    return
                quiet = True
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_seconds):
                        await advanced
                        quiet = not self._positions[name]

    @contextmanager
    def _future(self, name: str) -> Iterator[asyncio.Future[None]]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting[name]
        waiting.add(future)
        try:
            yield future
        finally:
            waiting.discard(future)


class StandingsWatcher:
    """Where all followers stand, looked up again and again for all who wait for one to change.

    At once when a follower of this process has advanced, and every so often for what others follow; only while `run` runs.
    """

    def __init__(
        self, store: FollowerStore, positions: PositionWaiter, clock: Clock, limits: QueryLimits = QueryLimits()
    ) -> None:
        self._store = store
        self._look_seconds = limits.look_seconds
        self._positions = positions
        self._clock = clock
        self._standings: dict[str, Standing] | None = None
        self._failure: Exception | None = None
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Look until cancelled."""
        self._standings = self._failure = None
        while True:
            self._positions.advanced.clear()
            began = self._clock.monotonic()
            standings, failure = await self._look()
            if (standings, failure) != (self._standings, self._failure):
                self._standings, self._failure = standings, failure
                self._changed.set()
                self._changed = asyncio.Event()
            # Where it takes long to look, as with very much that is parked, there is time for others in between.
            took = self._clock.monotonic() - began
            await self._clock.sleep(took)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(self._look_seconds, _PAUSES_PER_LOOK * took)):
                    await self._positions.advanced.wait()

    async def _look(self) -> tuple[dict[str, Standing] | None, Exception | None]:
        try:
            return await checkpoints.standings(self._store), None
        except Exception as error:
            return self._standings, error

    async def wait(self, known: Mapping[str, Standing | None] | None) -> dict[str, Standing]:
        """Return where all stand, once one of the known ones stands elsewhere; without any known, at once.

        Raises:
            LogUnavailable: where they stand cannot be looked up now.
        """
        while True:
            if self._failure is not None:
                raise self._failure.with_traceback(None)
            now = self._standings
            if now is not None and (known is None or any(now.get(name) != then for name, then in known.items())):
                return now
            await self._changed.wait()
