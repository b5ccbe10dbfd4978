"""A log as lines of JSON, which people can read, and from which a log can be made that is equal to the byte.

An event is a line such as ``{"position":1,"id":"0190…","type":"Deposited","version":1,"tags":["account:ann"],"data":{…},
"metadata":{…},"recorded_at":"2026-01-01T12:00:00.000001Z"}``. What stands for tags, data and metadata are the very bytes that
the log has. Where these are no JSON, or not on one line, there is ``data_base64`` or ``metadata_base64`` instead.

An export has three other kinds of line: the first says what it is, then come the ids that the log remembers, and the last
says what there should be before it, so that a file which was cut short or changed is not taken for a log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from twofold.clock import moment
from twofold.copies.contents import IDS_PER_CHUNK, Chunk, Digest
from twofold.errors import LogCorrupted
from twofold.log.model import ProcessedId, RecordedEvent
from twofold.log.reading import BYTES_PER_CHUNK, EVENTS_PER_CHUNK, size_of

_FORMAT = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LONGEST_SHOWN = 100
# The format has had this word for processed ids from its first version on.
_PROCESSED = b'{"handled":'
_LAST = b'{"digest":'


class _First(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    log_format: int
    events: int


class _ProcessedLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    handled: str
    first: Annotated[int, Meta(ge=1)]
    last: Annotated[int, Meta(ge=0)]
    digest: bytes = b""


class _EventLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True, gc=False):
    position: Annotated[int, Meta(ge=1)]
    id: str
    type: str
    version: Annotated[int, Meta(ge=0, lt=1 << 31)]
    tags: Raw
    data: Raw | UnsetType = UNSET
    data_base64: bytes | UnsetType = UNSET
    metadata: Raw | UnsetType = UNSET
    metadata_base64: bytes | UnsetType = UNSET
    recorded_at: Annotated[datetime, Meta(tz=True)]


class _Last(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    digest: str
    events: int
    handled: int


class _Probe(msgspec.Struct, frozen=True):
    value: Raw


_encode = msgspec.json.Encoder().encode
_probe = msgspec.json.Decoder(_Probe).decode
_read_first = msgspec.json.Decoder(_First).decode
_read_event = msgspec.json.Decoder(_EventLine).decode
_read_processed = msgspec.json.Decoder(_ProcessedLine).decode
_read_last = msgspec.json.Decoder(_Last).decode
_read_tags = msgspec.json.Decoder(tuple[str, ...]).decode


# Writing.


def first_line(events: int) -> bytes:
    """Return the line with which an export of so many events begins."""
    return _encode(_First(_FORMAT, events))


def chunk_lines(chunk: Chunk) -> bytes:
    """Return the lines of a chunk, each with its end."""
    lines = [_encode(_ProcessedLine(each.key, each.first, each.last, each.digest)) for each in chunk.processed]
    lines += [event_json(event) for event in chunk.events]
    return b"\n".join([*lines, b""])


def event_json(event: RecordedEvent) -> bytes:
    """Return an event as a line, without its end."""
    fields: dict[str, Any] = {}
    for name, value in (("data", event.data), ("metadata", event.encoded_metadata)):
        if _is_one_line(value):
            fields[name] = Raw(value)
        else:
            fields[f"{name}_base64"] = value
    return _encode(
        _EventLine(
            position=event.position,
            id=event.id,
            type=event.type,
            version=event.version,
            tags=Raw(event.encoded_tags),
            recorded_at=moment(event.recorded_at_us),
            **fields,
        )
    )


def _is_one_line(data: bytes) -> bool:
    """Say whether bytes can stand in a line as they are, and be told from what is around them."""
    if b"\n" in data or b"\r" in data:
        return False
    try:
        data.decode()
        return bytes(_probe(b'{"value":%b}' % data).value) == data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def last_line(digest: Digest) -> bytes:
    """Return the line with which an export ends."""
    return _encode(_Last(str(digest), digest.events, digest.processed))


# Reading.


class Export:
    """An export that is being read, line by line. ``events`` is how many it has, ``digest`` that of what has been read.

    Raises:
        LogCorrupted: it does not begin as an export does; every error names the file and the line.
    """

    def __init__(self, name: str, lines: Iterable[bytes]) -> None:
        self.digest = Digest()
        self._name = name
        self._lines = iter(lines)
        self._number = 0
        self._position = 0
        first = self._read(_read_first, self._next() or b"")
        if first.log_format != _FORMAT:
            raise self._error(
                f"the format is {first.log_format}, and this Twofold reads {_FORMAT}. Install a newer one."
            )
        self.events: int = first.events

    def chunks(self) -> Iterator[Chunk]:
        """Yield what is in it, each chunk once all of its lines have been found right.

        Raises:
            LogCorrupted: a line is wrong, or lines are missing or were changed.
        """
        events: list[RecordedEvent] = []
        processed: list[ProcessedId] = []
        size = 0
        while (line := self._next()) is not None and not line.startswith(_LAST):
            if line.startswith(_PROCESSED):
                found = self._read(_read_processed, line)
                processed.append(ProcessedId(found.handled, found.first, found.last, found.digest))
            else:
                events.append(self._event(line))
                size += size_of(events[-1])
            if size > BYTES_PER_CHUNK or len(events) == EVENTS_PER_CHUNK or len(processed) == IDS_PER_CHUNK:
                yield self._chunk(events, processed)
                events, processed, size = [], [], 0
        yield self._chunk(events, processed)
        self._check_end(line)

    def _next(self) -> bytes | None:
        self._number += 1
        return next(self._lines, None)

    def _chunk(self, events: list[RecordedEvent], processed: list[ProcessedId]) -> Chunk:
        chunk = Chunk(events, processed)
        self.digest.add(chunk)
        return chunk

    def _event(self, line: bytes) -> RecordedEvent:
        found = self._read(_read_event, line)
        self._position += 1
        if found.position != self._position:
            raise self._error(f"position {found.position} stands where {self._position} should. Lines are missing.")
        tags = bytes(found.tags)
        self._read(_read_tags, tags)
        data = self._bytes("data", found.data, found.data_base64)
        metadata = self._bytes("metadata", found.metadata, found.metadata_base64)
        at = (found.recorded_at - _EPOCH) // _MICROSECOND
        return RecordedEvent(found.position, found.id, found.type, found.version, tags, data, metadata, at)

    def _bytes(self, name: str, raw: Raw | UnsetType, encoded: bytes | UnsetType) -> bytes:
        if (raw is UNSET) == (encoded is UNSET):
            raise self._error(f"an event has {name} or {name}_base64, one of the two.")
        return bytes(raw) if isinstance(raw, Raw) else encoded or b""

    def _check_end(self, line: bytes | None) -> None:
        if line is None:
            raise self._error("the file ends before its last line, so it was cut short. Export again.")
        said = self._read(_read_last, line)
        if (said.events, said.handled, said.digest) != (self.digest.events, self.digest.processed, str(self.digest)):
            raise self._error(
                f"the lines before this one are not those that were exported: they are {self.digest.events} events and "
                f"{self.digest.processed} ids of the digest {self.digest}. Empty the log, export again, and import that."
            )
        if self._next() is not None:
            raise self._error("this should be after the end. Import one export at a time.")

    def _read(self, read: Callable[[bytes], Any], line: bytes) -> Any:
        try:
            return read(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            shown = line[:_LONGEST_SHOWN].decode("utf-8", "backslashreplace").rstrip()
            raise self._error(f"{error}, in {shown!r}. `twofold log export` writes what can be imported.") from error

    def _error(self, reason: str) -> LogCorrupted:
        return LogCorrupted(f"{self._name}, line {self._number}: {reason}")
