"""Waiting for views: until a follower has reached a position."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress

from twofold.errors import ReceiptTimeout

_POLL_SECONDS = 0.02


class Arrivals:
    """Knows how far followers are: by being told, in this process, and by asking, for what others follow."""

    def __init__(self, ask: Callable[[str], Awaitable[int]]) -> None:
        self._ask = ask
        self._positions: defaultdict[str, int] = defaultdict(int)
        self._waiting: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)

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
        try:
            async with asyncio.timeout(timeout_seconds):
                while self._positions[name] < position and await self._ask(name) < position:
                    await self._hint(name)
        except TimeoutError:
            reached = await self._ask(name)
            raise ReceiptTimeout(
                f"{name} is at position {reached} and not yet at {position} after {timeout_seconds:g} seconds. Ask again, "
                "or see with `twofold views list` and `twofold parked list` what holds it up."
            ) from None

    async def _hint(self, name: str) -> None:
        """Return when the follower moves in this process, or it is time to ask."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting[name].append(waiter)
        with suppress(TimeoutError):
            async with asyncio.timeout(_POLL_SECONDS):
                await waiter
