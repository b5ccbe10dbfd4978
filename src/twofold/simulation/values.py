"""Values of a type, made by chance: messages that fit their constraints, about a few identities that collide."""

from __future__ import annotations

import datetime as dt
import enum
import functools
import types
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Literal, TypeVar, Union, get_args, get_origin
from uuid import UUID

import msgspec
from msgspec import inspect

from twofold.errors import DeclarationError
from twofold.messages import source_location, tag_of, type_hints, unmarked
from twofold.simulation.chance import Chance
from twofold.simulation.patterns import text_of

M = TypeVar("M")

_MANY = 3
_ODD = 0.05
_SMALL = 20
_WORDS = ("", "a", "lamp", "Ärger", "o'brien", "x" * 60)
_MOMENT = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


class Maker:
    """Makes values of types. Of each identity there are ``identities``, so that different commands are about the same.

    ``named`` are types of identities by the names of fields: a query may well ask for one by a plain type.
    """

    def __init__(self, chance: Chance, identities: int = 4, named: Mapping[str, Any] = {}) -> None:
        self._chance = chance
        self._identities = identities
        self._named = named

    def message(self, cls: type[M]) -> M:
        """Return a message or another struct. Now and then a field that has a default is left out.

        Raises:
            DeclarationError: a field is of a type, or under a pattern, of which nothing can be made; the text names it.
        """
        values = {}
        struct: Any = cls
        for name, hint, is_required in _fields(struct):
            if is_required or not self._chance.happens(0.3):
                try:
                    values[name] = self._value(self._named.get(name, hint))
                except TypeError as error:
                    raise DeclarationError(f"{source_location(cls)}: no {name!r} can be made up: {error}.") from error
        return cls(**values)

    def _value(self, hint: Any) -> Any:
        if tag_of(hint) is not None:
            return self._identity(hint)
        plain = unmarked(hint)
        origin, parts = get_origin(plain), get_args(plain)
        if origin in (Union, types.UnionType):
            return self._value(self._chance.pick(parts))
        if origin is Literal:
            return self._chance.pick(parts)
        if isinstance(plain, type) and issubclass(plain, msgspec.Struct):
            return self.message(plain)
        if origin is not None:
            return self._collection(hint, origin, parts)
        return self._leaf(hint)

    def _identity(self, hint: Any) -> Any:
        """Return one of the few values that identities of a type have here."""
        tag, number = tag_of(hint), self._chance.below(self._identities)
        if type(None) in get_args(unmarked(hint)) and self._chance.happens(0.2):
            return None
        kind = _plain(hint)
        if isinstance(kind, inspect.StrType) and kind == inspect.StrType():
            return f"{tag and tag.name}-{number + 1}"
        return Maker(Chance(number, f"{tag}"))._leaf(hint)

    def _collection(self, hint: Any, origin: type, parts: tuple[Any, ...]) -> Any:
        low, high = _length(hint, _MANY)
        count = low + self._chance.below(max(1, high - low + 1))
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return {self._value(parts[0]): self._value(parts[1]) for _ in range(count)}
        if origin is tuple and not (len(parts) == 2 and parts[1] is ...):
            return tuple([self._value(part) for part in parts])
        made = [self._value(parts[0]) for _ in range(count)]
        return made if origin is list or not callable(origin) else _collected(origin, made)

    def _leaf(self, hint: Any) -> Any:
        kind = _plain(hint)
        make = _MAKERS.get(type(kind))
        if make is None:
            raise TypeError(f"nothing is known of {unmarked(hint)!r}")
        return make(self._chance, kind)


@functools.cache
def _fields(cls: Any) -> list[tuple[str, Any, bool]]:
    """Return the fields of a struct: each one's name, its type, and whether it has no default."""
    hints = type_hints(cls)
    fields = msgspec.structs.fields(cls)
    return [(each.name, hints[each.name], each.required) for each in fields]


def _plain(hint: Any) -> inspect.Type:
    """Return what is known of a type, without None and without what only describes it."""
    kind = inspect.type_info(hint)
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        kind = next(each for each in kind.types if not isinstance(each, inspect.NoneType))
    return kind


def _collected(origin: Any, made: list[Any]) -> Any:
    kinds = {tuple: tuple, set: set, frozenset: frozenset}
    return kinds.get(origin, list)(made)


def _length(hint: Any, most: int) -> tuple[int, int]:
    kind = inspect.type_info(hint)
    low = getattr(kind, "min_length", None) or 0
    high = getattr(kind, "max_length", None)
    return low, max(low, most if high is None else min(high, most))


def _number(chance: Chance, kind: Any, step: int) -> int:
    """Return a small number mostly, as amounts meet each other then, and now and then one at the bounds."""
    low = kind.ge if kind.ge is not None else kind.gt + step if kind.gt is not None else None
    high = kind.le if kind.le is not None else kind.lt - step if kind.lt is not None else None
    if chance.happens(_ODD) and (low is not None or high is not None):
        return _multiple(int(chance.pick([each for each in (low, high) if each is not None])), kind, low)
    first = 0 if low is None else max(int(low), -_SMALL // 4)
    last = first + _SMALL if high is None else min(first + _SMALL, int(high))
    first = first if first <= last else last - _SMALL if low is None else max(int(low), last - _SMALL)
    return _multiple(first + chance.below(last - first + 1), kind, low)


def _multiple(number: int, kind: Any, low: int | None) -> int:
    """Return a number near another one that is a multiple as asked for, and not too low."""
    multiple = int(kind.multiple_of or 1)
    near = number - number % multiple
    return near if low is None or near >= low else near + multiple


def _text(chance: Chance, kind: inspect.StrType) -> str:
    if kind.pattern:
        return text_of(kind.pattern, chance)
    word = chance.pick(_WORDS) if chance.happens(_ODD) else chance.pick(_WORDS[:3])
    low, high = kind.min_length or 0, kind.max_length
    return word.ljust(low, "x")[: high if high is not None else len(word) + low]


_MAKERS: dict[type, Callable[[Chance, Any], Any]] = {
    inspect.IntType: lambda chance, kind: _number(chance, kind, 1),
    inspect.FloatType: lambda chance, kind: float(_number(chance, kind, 1)),
    inspect.DecimalType: lambda chance, kind: Decimal(chance.below(2000)) / 100,
    inspect.BoolType: lambda chance, kind: chance.happens(0.5),
    inspect.NoneType: lambda chance, kind: None,
    inspect.StrType: _text,
    inspect.BytesType: lambda chance, kind: bytes([chance.below(256)] * ((kind.min_length or 0) + 1)),
    inspect.UUIDType: lambda chance, kind: UUID(int=chance.below(1 << 62) << 64 | chance.below(1 << 62)),
    inspect.DateTimeType: lambda chance, kind: (
        _MOMENT.replace(tzinfo=dt.UTC if kind.tz is not False else None) + dt.timedelta(hours=chance.below(5000))
    ),
    inspect.DateType: lambda chance, kind: (_MOMENT + dt.timedelta(days=chance.below(700))).date(),
    inspect.TimeType: lambda chance, kind: dt.time(chance.below(24), tzinfo=dt.UTC if kind.tz else None),
    inspect.TimeDeltaType: lambda chance, kind: dt.timedelta(minutes=chance.below(500)),
    inspect.EnumType: lambda chance, kind: chance.pick([each for each in kind.cls if isinstance(each, enum.Enum)]),
    inspect.LiteralType: lambda chance, kind: chance.pick(kind.values),
}
