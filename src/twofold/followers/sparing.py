"""Sparing checkpoints: who is concerned by few of a log's events need not store for each commit that it passed them by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from twofold.log import Batch, RecordedEvent

_HELD_SECONDS = 0.5


async def sparing(batches: AsyncIterator[Batch[RecordedEvent]]) -> AsyncIterator[Batch[RecordedEvent]]:
    """Yield batches, and of those without events only one every half second: what is behind them is passed by once more.

    Where other services fill a log with thousands of commits a second, each follower would store as many checkpoints.
    """
    loop = asyncio.get_running_loop()
    held: Batch[RecordedEvent] | None = None
    until = 0.0
    coming: asyncio.Future[Batch[RecordedEvent]] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(batches))
            await asyncio.wait([coming], timeout=max(0.0, until - loop.time()) if held else None)
            if coming.done():
                until = until if held else loop.time() + _HELD_SECONDS
                held, coming = coming.result(), None
            if held and (held.events or loop.time() >= until):
                yield held
                held = None
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.wait([coming])
