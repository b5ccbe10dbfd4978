"""A log in another place: copied as it is, from wherever an earlier copy ended, and compared in full."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import zip_longest

from twofold.copies.contents import IDS_PER_CHUNK, Chunk, Digest, contents
from twofold.errors import LogDiverged, LogUnavailable, ValueRefused
from twofold.log.log import Log
from twofold.log.model import ALL, ProcessedId, RecordedEvent
from twofold.log.reading import Report, ahead, events_of
from twofold.log.store import LogStore

_LONGEST_SHOWN = 200
_START_ANEW = "Give the copy another place, or empty this one, and copy again."


async def copy(source: Log, target: LogStore, after: int, report: Report) -> Digest:
    """Bring a copy of a log, which ends after a position, up to where the log ends now, and return what was added.

    Raises:
        LogDiverged: somebody else writes to the copy.
    """
    until = await source.head()
    added = Digest()
    async with aclosing(contents(source, after, until)) as chunks:
        async for chunk in chunks:
            await restore(target, chunk)
            added.add(chunk)
            report("copying", after + added.events, until)
    return added


async def restore(target: LogStore, chunk: Chunk) -> None:
    """Restore a chunk.

    Raises:
        LogDiverged: the target holds something else.
        LogUnavailable: the target cannot be reached now; the text says what it was about.
        ValueRefused: the target does not take what another database could hold; the text says the same.
    """
    what = f"positions {chunk.events[0].position} to {chunk.events[-1].position}" if chunk.events else "the ids"
    try:
        await target.restore(chunk.events, chunk.processed)
    except LogUnavailable as error:
        raise LogUnavailable(f"{error} This was about {what}; again, it goes on there.") from error
    except ValueRefused as error:
        raise ValueRefused(f"The target cannot hold all of {what}: {error}") from error


async def common_head(source: Log, target: LogStore) -> int:
    """Return where a copy ends, having checked that it is the beginning of the log.

    Events that have the same id are the same, and so is all that comes before them: a look at the last one will do.

    Raises:
        LogDiverged: it is not; the text names the first position at which they differ.
    """
    ends = await target.head()
    last = min(ends, await source.head())
    if last and not await _same_at(last, source, target):
        raise LogDiverged(await _first_difference(last, source, target))
    if ends > last:
        raise LogDiverged(
            f"The copy goes on after position {last}, where the log ends: somebody has written to the copy, or the two are "
            f"the wrong way round. {_START_ANEW}"
        )
    return ends


async def _first_difference(last: int, source: Log, target: LogStore) -> str:
    same, other = 0, last
    while other - same > 1:
        middle = (same + other) // 2
        if await _same_at(middle, source, target):
            same = middle
        else:
            other = middle
    there, here = await _at(other, target), await _at(other, source)
    return (
        f"At position {other} the copy has {there.type} {there.id}, and the log {here.type} {here.id}: it is a copy of "
        f"another log, or somebody has written to it. {_START_ANEW}"
    )


async def _same_at(position: int, source: Log, target: LogStore) -> bool:
    return (await _at(position, source)).id == (await _at(position, target)).id


async def _at(position: int, log: Log | LogStore) -> RecordedEvent:
    (event,) = await log.read(ALL, position - 1, 1)
    return event


# Comparing.


async def compare(source: Log, target: LogStore, after: int, report: Report) -> Digest:
    """Read a copy and the log from a position on, and return the digest of what is in both.

    The log may have gone on since it was copied.

    Raises:
        LogDiverged: they differ; the text says where and in what.
    """
    until = await target.head()
    found = Digest()
    async with aclosing(_common_ids(source, target, after, until)) as ids:
        async for processed in ids:
            found.add(Chunk(processed=processed))
    async with aclosing(ahead(_pairs(source, target, after, until))) as pairs:
        async for here, there in pairs:
            if here != there:
                raise LogDiverged(_difference(here, there))
            found.add(Chunk(events=there))
            report("comparing", after + found.events, until)
    if await target.head() > until:
        raise LogDiverged(
            f"Somebody has written to the copy, after position {until}, while it was compared. {_START_ANEW}"
        )
    return found


async def _pairs(
    source: Log, target: LogStore, after: int, until: int
) -> AsyncGenerator[tuple[list[RecordedEvent], list[RecordedEvent]], None]:
    async with aclosing(events_of(source, after, until)) as here, aclosing(events_of(target, after, until)) as there:
        while any(pair := await asyncio.gather(anext(here, []), anext(there, []))):
            yield pair[0], pair[1]


def _difference(here: Sequence[RecordedEvent], there: Sequence[RecordedEvent]) -> str:
    for one, other in zip_longest(here, there):
        if other is None or one is None or one.position != other.position:
            missing, position = ("copy", one.position) if one else ("log", other.position)
            return f"The {missing} has no event at position {position}. {_START_ANEW}"
        for field in RecordedEvent.__struct_fields__:
            if getattr(one, field) != getattr(other, field):
                return (
                    f"At position {one.position} the copy has {_shown(other, field)}, and the log {_shown(one, field)}. "
                    f"{_START_ANEW}"
                )
    raise AssertionError("they are equal")


def _shown(event: RecordedEvent, field: str) -> str:
    text = repr(getattr(event, field))
    return f"{field}={text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + '…'}"


async def _common_ids(source: Log, target: LogStore, since: int, until: int) -> AsyncGenerator[list[ProcessedId], None]:
    """Yield the ids that a copy remembers, in chunks, each of which is in the log too."""
    after = ""
    while True:
        here, there = await asyncio.gather(
            source.store.read_processed(since, until, after, IDS_PER_CHUNK),
            target.read_processed(since, until, after, IDS_PER_CHUNK),
        )
        if not here and not there:
            return
        if here == there:
            after = there[-1].key
            yield there
            continue
        # Where one has fewer than the other, the rest of the other's chunk is left for the next one.
        full = [chunk[-1] for chunk in (here, there) if len(chunk) == IDS_PER_CHUNK]
        after = min(full, key=_bytes).key if full else max(here[-1:] + there[-1:], key=_bytes).key
        here, there = [[each for each in chunk if _bytes(each) <= after.encode()] for chunk in (here, there)]
        if difference := _id_difference(here, there, until):
            raise LogDiverged(f"{difference} {_START_ANEW}")
        yield there


def _bytes(processed: ProcessedId) -> bytes:
    return processed.key.encode()


def _id_difference(here: Sequence[ProcessedId], there: Sequence[ProcessedId], until: int) -> str | None:
    known, copied = ({each.key: each for each in chunk} for chunk in (here, there))
    for key, at in copied.items():
        if key not in known or not known[key].agrees(at):
            otherwise = f"with {_remembered(known[key])}" if key in known else "not"
            return f"The id {key!r} is remembered by the copy with {_remembered(at)}, and by the log {otherwise}."
    for key, at in known.items():
        # Where the copy ends, the log may have handled more commands that led to nothing.
        if key not in copied and not at.first > at.last == until:
            return f"The id {key!r} is remembered by the log with {_remembered(at)}, and by the copy not."
    return None


def _remembered(processed: ProcessedId) -> str:
    content = f" and the content {processed.digest.hex()}" if processed.digest else ""
    return f"the positions {(processed.first, processed.last)}{content}"
