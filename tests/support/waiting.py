"""Waiting for what no one announces."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], Awaitable[object]], seconds: float = 30) -> None:
    """Return once something holds; what never does is a failure, and not a longer wait."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.01)
