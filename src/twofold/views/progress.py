"""Waiting for views: until a follower has reached a position."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from twofold.errors import ReceiptTimeout

_POLL_SECONDS = 0.02


class Arrivals:
    """Knows how far followers are: by being told, in this process, and by asking, for what others follow."""

    def __init__(self, ask: Callable[[str], Awaitable[int]]) -> None:
        self._ask = ask
        self._positions: defaultdict[str, int] = defaultdict(int)
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)

    def moved(self, name: str, position: int) -> None:
        """Take note that a follower is at a position."""
        self._positions[name] = position
        for waiter in self._waiting.pop(name, ()):
            if not waiter.done():
                waiter.set_result(None)

    async def reach(self, name: str, position: int, timeout_seconds: float) -> None:
        """Return once the follower is at the position.

        Raises:
            ReceiptTimeout: it is not there in time; the text says where it is.
        """
        if self._positions[name] >= position:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._arrival(name, position)
                return
        reached = await self._ask(name)
        if reached < position:
            raise ReceiptTimeout(
                f"{name} is at position {reached} and not yet at {position} after {timeout_seconds:.3g} seconds. Ask "
                "again, or see with `twofold views list` and `twofold parked list` what holds it up."
            )

    async def _arrival(self, name: str, position: int) -> None:
        while self._positions[name] < position:
            # It may move while it is asked: who waits is there before the question.
            with self._waiter(name) as moved:
                if await self._ask(name) >= position:
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await moved

    @contextmanager
    def _waiter(self, name: str) -> Iterator[asyncio.Future[None]]:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting[name]
        waiting.add(waiter)
        try:
            yield waiter
        finally:
            waiting.discard(waiter)
