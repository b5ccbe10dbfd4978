"""When two values are the same: not only equal, but of one type all through; and what a message says, in a few bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec

from twofold.errors import InvalidMessage
from twofold.messages.message import Message

_PLAIN = {str, int, bool, bytes, date, timedelta, UUID, type(None)}
_DIGEST_BYTES = 16

_encode = msgspec.json.Encoder(decimal_format="string", order="deterministic").encode


def difference(one: Any, other: Any, path: str = "") -> str:
    """Return where in a value another one is not the same, '' if it is the same all through.

    Equal is not enough: ``True == 1``, and a decision may depend on which of the two it sees. A whole number where a float
    is declared is the same if it is equal, as every type checker says; and so are times with the same clock and offset,
    whatever rules of a zone have led to that.

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
        return bool(one.utcoffset() == other.utcoffset() and _on_the_clock(one) == _on_the_clock(other))
    return bool(one == other)


def _on_the_clock(moment: Any) -> Any:
    return moment.replace(tzinfo=None, fold=0)


def _parts(one: Any, other: Any) -> list[tuple[str, Any, Any]]:
    """Return the parts of two values of one type side by side, with their names; none of values that are whole."""
    if isinstance(one, (list, tuple)):
        sized = [("", len(one), len(other))]
        return sized + [(f"[{n}]", *pair) for n, pair in enumerate(zip(one, other, strict=False))]
    if isinstance(one, Mapping):
        keys = [("", _typed(one), _typed(other))]
        return keys + [(f".{key}", value, other.get(key)) for key, value in one.items()]
    if isinstance(one, (set, frozenset)):
        return [("", len(one), len(other)), *(("", item in _typed(other), True) for item in _typed(one))]
    return [(f".{name}", getattr(one, name), getattr(other, name)) for name in _field_names(one)]


def _typed(items: Any) -> frozenset[tuple[type, Any]]:
    return frozenset((type(item), item) for item in items)


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
    fields = msgspec.structs.fields(kind)
    said = {field.name: getattr(message, field.name) for field in fields}
    for field in fields:
        if said[field.name] == field.default or said[field.name] in _EMPTY.get(field.default_factory, ()):
            del said[field.name]
    try:
        data = _encode((kind.message_name, said))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidMessage(f"{kind.message_name}: it cannot be said in JSON: {error}") from error
    return blake2b(data, digest_size=_DIGEST_BYTES).digest()


_EMPTY: dict[Any, tuple[Any, ...]] = {list: ([],), dict: ({},), set: (set(),)}
