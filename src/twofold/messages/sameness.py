"""When two values are the same: not only equal, but of one type all through; and what a message says, in a few bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec

from twofold.errors import InvalidMessage
from twofold.messages.message import Message

_PLAIN = {str, int, bool, bytes, date, timedelta, UUID, type(None)}
_ABSENT = object()
_DIGEST_BYTES = 16

_encode = msgspec.json.Encoder(decimal_format="string", order="deterministic").encode


def difference(one: Any, other: Any, path: str = "") -> str:
    """Return where in a value another one is not the same, '' if it is the same all through.

    Equal is not enough: ``True == 1``, and a decision may depend on which of the two it sees. A whole number where a float
    is declared is the same if it is equal, as every type checker says; and so is a time with the same clock and a fixed
    offset, whatever rules of a zone have led to that. But what has rules itself counts a day on otherwise in a night when
    clocks are changed, and is the same as nothing.

    >>> difference({"units": [1, 2]}, {"units": [1, True]})
    'units[1]'
    >>> difference((1, 2), [1, 2])
    'it'
    """
    kind = type(other)
    if type(one) is not kind:
        return "" if kind is float and type(one) is int and one == other else path or "it"
    if kind in _PLAIN or not (parts := _parts(one, other)):
        return "" if _is_same(one, other, kind) else path or "it"
    for name, one_part, other_part in parts:
        if found := difference(one_part, other_part, f"{path}{name}".removeprefix(".")):
            return found
    return ""


def _is_same(one: Any, other: Any, kind: type) -> bool:
    if kind is Decimal:
        return bool(one.as_tuple() == other.as_tuple())
    if kind in (datetime, time):
        # Python takes no time that a zone's clock shows twice for equal to any in another zone (PEP 495).
        is_fixed = other.tzinfo is None or type(other.tzinfo) is timezone
        return is_fixed and bool(one.utcoffset() == other.utcoffset() and _on_the_clock(one) == _on_the_clock(other))
    return bool(one == other)


def _on_the_clock(moment: Any) -> Any:
    return moment.replace(tzinfo=None, fold=0)


def _parts(one: Any, other: Any) -> list[tuple[str, Any, Any]]:
    """Return the parts of two values of one type side by side, with their names; none of values that are whole."""
    if isinstance(one, (list, tuple)):
        sized = [("", len(one), len(other))]
        return sized + [(f"[{n}]", *pair) for n, pair in enumerate(zip(one, other, strict=False))]
    if isinstance(one, Mapping):
        return [*_paired(one, other), *((f".{key}", value, other.get(key)) for key, value in one.items())]
    if isinstance(one, (set, frozenset)):
        return _paired(one, other)
    return [(f".{name}", getattr(one, name), getattr(other, name)) for name in _field_names(one)]


def _paired(one: Any, other: Any) -> list[tuple[str, Any, Any]]:
    """Return how many keys or elements there are, and each beside the one that is equal to it."""
    equal = {item: item for item in other}
    return [("", len(one), len(other)), *(("", item, equal.get(item, _ABSENT)) for item in one)]


def _field_names(value: Any) -> Iterator[str]:
    if isinstance(value, msgspec.Struct):
        yield from value.__struct_fields__
    elif dataclasses.is_dataclass(value):
        yield from (field.name for field in dataclasses.fields(value))


def content_digest(message: Message) -> bytes:
    """Return what stands for the content of a message: its name and its fields.

    It is the same in every process, and a new field with a default changes nothing for who does not use it: a command that
    is sent again after a deployment is still the same one.

    Raises:
        InvalidMessage: a field has a value that has no JSON.
    """
    kind: Any = type(message)
    said = {}
    try:
        for field in msgspec.structs.fields(kind):
            value = getattr(message, field.name)
            if not _is_default(value, field):
                said[field.encode_name] = value
        data = _encode((kind.message_name, said))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidMessage(f"{kind.message_name}: it cannot be said in JSON: {error}") from error
    return blake2b(data, digest_size=_DIGEST_BYTES).digest()


def _is_default(value: Any, field: msgspec.structs.FieldInfo) -> bool:
    """Say whether a field has its default, also in JSON: ``False == 0``, and it is another content."""
    if value is field.default:
        return True
    if value == field.default:
        return _encode(value) == _encode(field.default)
    return value in _EMPTY.get(field.default_factory, ())


_EMPTY: dict[Any, tuple[Any, ...]] = {list: ([],), dict: ({},), set: (set(),)}
