"""A log from one URL to another, to a file, and from a file."""

from __future__ import annotations

import asyncio
import gzip
import sys
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, cast

import msgspec

from twofold.clock import SystemClock
from twofold.copies.contents import Chunk, Digest, contents
from twofold.copies.copying import common_head, compare, copy, restore
from twofold.copies.lines import Export, chunk_lines, first_line, last_line
from twofold.errors import LogCorrupted, LogDiverged, LogUnavailable, SettingsError
from twofold.limits import Limits
from twofold.log import Log, RecordedEvent
from twofold.log.reading import Report, ahead
from twofold.operations.databases import check_shared, opened_log
from twofold.service.adapters import LOGS, location_of, open_log
from twofold.urls import without_password


class CopyResult(msgspec.Struct, frozen=True, rename={"added": "moved", "processed": "handled"}):
    """What has been copied, and what is there now. As JSON it has the words that scripts have read from the first version on.

    ``added`` is how many events this run has added, after those that were there. ``events`` and ``processed`` are how many
    events and ids were then read back, from the position ``after`` on, and ``digest`` is what stands for all of these.
    """

    added: int
    after: int
    events: int
    processed: int
    digest: str


async def copy_log(
    source_url: str, target_url: str, report: Report, *, compare_all: bool = True, limits: Limits = Limits()
) -> CopyResult:
    """Copy a log to another place, or what has come since it was copied, and compare the two.

    The source is only read, and may be in use. The target may not be, before the copy is complete.

    Args:
        source_url: the log.
        target_url: where to; it is made if need be.
        report: is told how far it is.
        compare_all: read back all of both; otherwise only what is copied now.
        limits: those of this process.

    Raises:
        SettingsError: a URL is wrong, or both are the same.
        LogUnavailable: there is no log, or one of the two cannot be reached.
        LogDiverged: the target is not a copy of the source, or somebody else writes to it.
    """
    check_shared(target_url)
    if location_of(source_url, LOGS) == location_of(target_url, LOGS):
        raise SettingsError(f"{without_password(target_url)!r} is the log itself. Say where the copy is to be.")
    async with opened_log(source_url, limits=limits) as source, _opened_target(target_url, limits) as target:
        before = await common_head(source, target.store)
        added = await copy(source, target.store, before, report)
        after = 0 if compare_all else before
        found = await compare(source, target.store, after, report)
    return _result(added.events, after, found)


@asynccontextmanager
async def _opened_target(url: str, limits: Limits) -> AsyncIterator[Log]:
    clock = SystemClock()
    log = await Log.open(open_log(url, clock, limits), clock, limits.log)
    try:
        yield log
    finally:
        await log.close()


def _result(added: int, after: int, found: Digest) -> CopyResult:
    return CopyResult(added, after, found.events, found.processed, str(found))


async def export_log(url: str, file: str, report: Report, *, limits: Limits = Limits()) -> CopyResult:
    """Write a log, as it is now, to a file of lines.

    It is compressed if its name ends in ``.gz``, and appears under its name when it is complete; ``-`` is the standard
    output.

    Raises:
        LogUnavailable: there is no log, or the log or the file cannot be reached.
    """
    async with opened_log(url, limits=limits) as log:
        events = await log.head()
        with _written(file) as out:
            written = await _export(log, events, out, report)
    return _result(0, 0, written)


async def _export(log: Log, events: int, out: IO[bytes], report: Report) -> Digest:
    written = Digest()

    def write(chunk: Chunk) -> None:
        written.add(chunk)
        out.write(chunk_lines(chunk))

    out.write(first_line(events) + b"\n")
    async with aclosing(contents(log, 0, events)) as chunks:
        async for chunk in chunks:
            await asyncio.to_thread(write, chunk)
            report("exporting", written.events, events)
    out.write(last_line(written) + b"\n")
    out.flush()
    return written


async def import_log(file: str, url: str, report: Report, *, limits: Limits = Limits()) -> CopyResult:
    """Restore a log from a file that `export_log` has written, or what of it is not there yet, and compare the two.

    Args:
        file: its name; ``-`` is the standard input.
        url: where to; it is made if need be, and nobody may use it before all is there.
        report: is told how far it is.
        limits: those of this process.

    Raises:
        LogCorrupted: a line is wrong, or lines are missing; nothing of its batch has been restored.
        LogUnavailable: the file or the log cannot be reached.
        LogDiverged: the log is not the beginning of what is in the file, or somebody else writes to it.
    """
    check_shared(url)
    with _read(file) as lines:
        export = Export("standard input" if file == "-" else file, lines)
        async with _opened_target(url, limits) as target:
            before = await target.head()
            done = 0
            async with aclosing(ahead(_chunks(export))) as chunks:
                async for chunk in chunks:
                    await restore(target.store, chunk)
                    done += len(chunk.events)
                    report("importing", done, export.events)
            found = await _read_back(target, export, report)
    return _result(max(0, found.events - before), 0, found)


@contextmanager
def opened_export(file: str) -> Iterator[tuple[Export, AsyncGenerator[Sequence[RecordedEvent], None]]]:
    """Open a file that `export_log` has written, and give its events in chunks.

    Raises:
        LogCorrupted: a line is wrong, or lines are missing; raised when their chunk is asked for.
        LogUnavailable: the file cannot be read.
    """
    with _read(file) as lines:
        export = Export("standard input" if file == "-" else file, lines)
        yield export, _events(export)


async def _events(export: Export) -> AsyncGenerator[Sequence[RecordedEvent], None]:
    async for chunk in _chunks(export):
        yield chunk.events


async def _chunks(export: Export) -> AsyncGenerator[Chunk, None]:
    chunks = export.chunks()
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        yield chunk


async def _read_back(target: Log, export: Export, report: Report) -> Digest:
    found = Digest()
    async with aclosing(contents(target, 0, export.events)) as chunks:
        async for chunk in chunks:
            found.add(chunk)
            report("comparing", found.events, export.events)
    if str(found) != str(export.digest) or await target.head() > export.events:
        raise LogDiverged(
            f"The log and the file differ: there are {await target.head()} events in the log, of the digest {found}, and "
            f"{export.digest.events} in the file, of the digest {export.digest}. Somebody has written to the log. Import "
            "into an empty place."
        )
    return found


@contextmanager
def _written(file: str) -> Iterator[IO[bytes]]:
    if file == "-":
        yield sys.stdout.buffer
        return
    part = Path(f"{file}.part")
    with _named(file):
        try:
            with _opened(part, file, "wb") as out:
                yield out
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def _read(file: str) -> Iterator[IO[bytes]]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with _named(file), _opened(Path(file), file, "rb") as lines:
        yield lines


def _opened(path: Path, name: str, mode: str) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, mode, 6) if name.endswith(".gz") else path.open(mode))


@contextmanager
def _named(file: str) -> Iterator[None]:
    """Name the file in what goes wrong with it."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise LogCorrupted(f"{file}: it is damaged, or was cut short: {error}. Export again.") from error
    except OSError as error:
        raise LogUnavailable(f"{file}: {error.strerror or error}. Check its name, its folder and the disk.") from error
