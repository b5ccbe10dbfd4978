"""Reading all of a log, so much at a time as is likely to fit in memory, and the next while the last is in use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import TypeAlias, TypeVar

from twofold.log.log import Log
from twofold.log.model import ALL, RecordedEvent
from twofold.log.store import LogStore

T = TypeVar("T")
Report: TypeAlias = Callable[[str, int, int], None]
"""Is told what is being done, up to which position that is, and where it ends."""

EVENTS_PER_CHUNK = 4000
BYTES_PER_CHUNK = 4 << 20
_EVENTS_OF_UNKNOWN_SIZE = 50


async def events_of(log: Log | LogStore, after: int, until: int) -> AsyncGenerator[list[RecordedEvent], None]:
    """Yield the events of a log behind a position and up to another, so many at once as are likely to fit in memory."""
    limit = _EVENTS_OF_UNKNOWN_SIZE
    while after < until and (found := await log.read(ALL, after, min(limit, until - after))):
        yield found
        after = found[-1].position
        limit = max(1, min(EVENTS_PER_CHUNK, BYTES_PER_CHUNK * len(found) // sum(size_of(event) for event in found)))


def size_of(event: RecordedEvent) -> int:
    """Return about how many bytes an event has."""
    return 100 + len(event.data) + len(event.encoded_metadata) + len(event.encoded_tags)


async def ahead(items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Yield what another generator yields, which makes the next one meanwhile."""
    async with aclosing(items):
        upcoming = asyncio.ensure_future(_next(items))
        try:
            while (item := await upcoming) is not None:
                upcoming = asyncio.ensure_future(_next(items))
                yield item
        finally:
            upcoming.cancel()
            await asyncio.gather(upcoming, return_exceptions=True)


async def _next(items: AsyncIterator[T]) -> T | None:
    return await anext(items, None)
