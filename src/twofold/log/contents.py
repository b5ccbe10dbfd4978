"""All that makes a log what it is, page by page: its events, and the ids that it remembers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from hashlib import sha256
from typing import TypeAlias, TypeVar

import msgspec
from msgspec.structs import astuple

from twofold.log.log import Log
from twofold.log.model import ALL, Handled, Recorded
from twofold.log.store import Store

T = TypeVar("T")
Report: TypeAlias = Callable[[str, int, int], None]
"""Is told what is being done, up to which position that is, and where it ends."""

IDS_PER_PAGE = 10_000
EVENTS_PER_PAGE = 4000
BYTES_PER_PAGE = 4 << 20
_EVENTS_OF_UNKNOWN_SIZE = 50

_encode = msgspec.msgpack.Encoder().encode


class Page(msgspec.Struct, frozen=True, gc=False):
    """A part of a log: ids that it remembers, or events in a row."""

    events: Sequence[Recorded] = ()
    handled: Sequence[Handled] = ()


class Digest:
    """What two logs have in common if, and only if, they are equal in every field, whatever database they are in.

    >>> digest = Digest()
    >>> digest.add(Page(handled=[Handled("command-1", 1, 2)]))
    >>> digest.events, digest.handled, str(digest)[:20]
    (0, 1, 'sha256:59ff77868665e')
    """

    def __init__(self) -> None:
        self.events = 0
        self.handled = 0
        self._events = sha256()
        self._handled = sha256()

    def add(self, page: Page) -> None:
        """Take in what comes next."""
        self.events += len(page.events)
        self.handled += len(page.handled)
        self._events.update(b"".join([_encode(astuple(event)) for event in page.events]))
        # An id without a digest counts as it did when there were none.
        self._handled.update(b"".join([_encode(astuple(each)[: 4 if each.digest else 3]) for each in page.handled]))

    def __str__(self) -> str:
        return f"sha256:{sha256(self._events.digest() + self._handled.digest()).hexdigest()}"


async def contents(log: Log, after: int, until: int) -> AsyncGenerator[Page, None]:
    """Yield what a log has behind a position and up to another, each page being read while the one before is in use.

    The ids come first. So where a copy ends, the ids of all its events are in it, and it can go on without looking at
    them again: only ids without events may have come later at the very position where it ends.
    """

    async def pages() -> AsyncGenerator[Page, None]:
        async for handled in ids_of(log, after, until):
            yield Page(handled=handled)
        async for events in events_of(log, after, until):
            yield Page(events=events)

    async with aclosing(ahead(pages())) as found:
        async for page in found:
            yield page


async def ids_of(log: Log, since: int, until: int) -> AsyncGenerator[list[Handled], None]:
    """Yield the ids that a log remembers with positions in a range, in the order of their keys."""
    after = ""
    while found := await log.store.read_handled(since, until, after, IDS_PER_PAGE):
        yield found
        after = found[-1].key


async def events_of(log: Log | Store, after: int, until: int) -> AsyncGenerator[list[Recorded], None]:
    """Yield the events of a log behind a position and up to another, so many at once as are likely to fit in memory."""
    limit = _EVENTS_OF_UNKNOWN_SIZE
    while after < until and (found := await log.read(ALL, after, min(limit, until - after))):
        yield found
        after = found[-1].position
        limit = max(1, min(EVENTS_PER_PAGE, BYTES_PER_PAGE * len(found) // sum(size_of(event) for event in found)))


def size_of(event: Recorded) -> int:
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
