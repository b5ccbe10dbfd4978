"""All that makes a log what it is, chunk by chunk: its events, and the ids that it remembers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from hashlib import sha256

import msgspec
from msgspec.structs import astuple

from twofold.log.log import Log
from twofold.log.model import ProcessedId, RecordedEvent
from twofold.log.reading import ahead, events_of

IDS_PER_CHUNK = 10_000

_encode = msgspec.msgpack.Encoder().encode


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """A part of a log: ids that it remembers, or events in a row."""

    events: Sequence[RecordedEvent] = ()
    processed: Sequence[ProcessedId] = ()


class Digest:
    """What two logs have in common if, and only if, they are equal in every field, whatever database they are in.

    >>> digest = Digest()
    >>> digest.add(Chunk(processed=[ProcessedId("command-1", 1, 2)]))
    >>> digest.events, digest.processed, str(digest)[:20]
    (0, 1, 'sha256:59ff77868665e')
    """

    def __init__(self) -> None:
        self.events = 0
        self.processed = 0
        self._events = sha256()
        self._processed = sha256()

    def add(self, chunk: Chunk) -> None:
        """Take in what comes next."""
        self.events += len(chunk.events)
        self.processed += len(chunk.processed)
        self._events.update(b"".join([_encode(astuple(event)) for event in chunk.events]))
        # An id without a digest counts as it did when there were none.
        self._processed.update(
            b"".join([_encode(astuple(each)[: 4 if each.digest else 3]) for each in chunk.processed])
        )

    def __str__(self) -> str:
        return f"sha256:{sha256(self._events.digest() + self._processed.digest()).hexdigest()}"


async def contents(log: Log, after: int, until: int) -> AsyncGenerator[Chunk, None]:
    """Yield what a log has behind a position and up to another, each chunk being read while the one before is in use.

    The ids come first. So where a copy ends, the ids of all its events are in it, and it can go on without looking at
    them again: only ids without events may have come later at the very position where it ends.
    """

    async def chunks() -> AsyncGenerator[Chunk, None]:
        async for processed in ids_of(log, after, until):
            yield Chunk(processed=processed)
        async for events in events_of(log, after, until):
            yield Chunk(events=events)

    async with aclosing(ahead(chunks())) as found:
        async for chunk in found:
            yield chunk


async def ids_of(log: Log, since: int, until: int) -> AsyncGenerator[list[ProcessedId], None]:
    """Yield the ids that a log remembers with positions in a range, in the order of their keys."""
    after = ""
    while found := await log.store.read_processed(since, until, after, IDS_PER_CHUNK):
        yield found
        after = found[-1].key
