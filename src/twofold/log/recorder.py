"""The one recorder: whatever goes into a log is made here, so that the log can give it back as it is.

A state in memory and one that is read from the log are folded from the same values: those that the recorded bytes give back,
and never those that were meant.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from datetime import date, datetime
from hashlib import blake2b
from typing import Annotated, Any, Union, get_args, get_origin
from uuid import UUID

import msgspec

from twofold.errors import InvalidMessage, UnrecordableEvent
from twofold.log.model import NewEvent
from twofold.messages import Event, difference, encode, reader, tagger, type_hints, writer

_DIGEST_BYTES = 16
_LONGEST_SHOWN = 200
_PLAIN = {str, int, float, bool, datetime, date, UUID, type(None), msgspec.Raw}


class RecordableEvent(msgspec.Struct, frozen=True, gc=False):
    """An event as the log takes it, and as the log will give it back."""

    new: NewEvent
    event: Event


def recordable(event: Event, id: str, metadata: bytes) -> RecordableEvent:
    """Return an event as the log takes it and gives it back.

    Raises:
        UnrecordableEvent: its bytes would give back something else, or nothing; the text names the field.
    """
    return _recorder(type(event))(event, id, metadata)


@functools.cache
def _recorder(kind: type[Event]) -> Callable[[Event, str, bytes], RecordableEvent]:
    if not issubclass(kind, Event):
        raise UnrecordableEvent(f"A {kind.__name__} is no event: derive its class from twofold.Event.")
    name, version, fields = kind.message_name, kind.message_version, kind.__struct_fields__
    tags, write, read, doubtful = tagger(kind), writer(kind), reader(kind, version), _doubtful(kind)

    def record(event: Event, id: str, metadata: bytes) -> RecordableEvent:
        try:
            data = write(event)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise UnrecordableEvent(
                f"{name}: {_culprit(event, fields)} cannot be said in JSON: {error}. Give it a type that can."
            ) from error
        try:
            back = read(data)
            differs = back != event
        except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError) as error:
            raise UnrecordableEvent(f"{name}: {_shown(event)} does not fit its class: {error}.") from error
        if doubtful or differs:
            # What is equal is the same, where JSON has a notation of its own for all that a field may hold.
            for field in fields if differs else doubtful:
                _check_same(name, field, getattr(event, field), getattr(back, field))
        try:
            return RecordableEvent(NewEvent(id, name, version, tags(back), data, metadata), back)
        except InvalidMessage as error:
            raise UnrecordableEvent(f"{name}: {_shown(event)} cannot be found by all that it names: {error}") from error

    return record


def _doubtful(kind: type[Event]) -> tuple[str, ...]:
    """Return the fields whose values can come back equal and of another type."""
    return tuple(name for name, hint in type_hints(kind).items() if not _is_plain(hint))


def _is_plain(hint: Any) -> bool:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _is_plain(parts[0])
    if origin in (types.UnionType, Union, list, tuple) or (origin is dict and parts[0] is str):
        return all(part is Ellipsis or _is_plain(part) for part in parts)
    return hint in _PLAIN


def _check_same(name: str, field: str, given: Any, found: Any) -> None:
    if path := difference(given, found, field):
        raise UnrecordableEvent(
            f"{name}: {path} would come back from the log as something else: {field} is {_shown(given)}, and becomes "
            f"{_shown(found)}. Annotate the field with the type that it holds, or give it what its type says."
        )


def _culprit(event: Event, fields: tuple[str, ...]) -> str:
    for field in fields:
        try:
            encode(getattr(event, field))
        except (TypeError, ValueError, OverflowError, RecursionError):
            return f"the field {field}"
    return "it"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


class ForeignEvent(msgspec.Struct, frozen=True):
    """An event of another service as the own log takes it, its content's digest, and why it fits no class ('': it does)."""

    new: NewEvent
    digest: bytes
    misfit: str


def foreign_event(kind: type[Event], version: int, data: bytes, id: str, metadata: bytes) -> ForeignEvent:
    """Return an event of another service as the own log takes it: the bytes as they came, whatever the class reads of them.

    One that does not fit the class has no tags: who reads it parks it until the class is mended.
    """
    tags: tuple[str, ...] = ()
    misfit = ""
    try:
        tags = tagger(kind)(reader(kind, version)(data))
    except Exception as error:
        misfit = f"{type(error).__name__}: {error}"
    digest = blake2b(b"%b %d %b" % (kind.message_name.encode(), version, data), digest_size=_DIGEST_BYTES).digest()
    return ForeignEvent(NewEvent(id, kind.message_name, version, tags, data, metadata), digest, misfit)
