"""Plain values made by chance, within the bounds that their types have: numbers, texts, times and the like."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import inspect

from twofold.simulation.chance import Chance
from twofold.simulation.patterns import text_of

_ODD = 0.05
_SMALL = 20
_TRIES = 20
_WORDS = ("", "a", "lamp", "Ärger", "o'brien", "x" * 60)
_ANYTHING = (None, True, 1, 1.5, "a")
_MOMENT = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def options_of(kind: inspect.Type) -> Sequence[Any]:
    """Return all values of a type that lists them; none if it does not."""
    if isinstance(kind, inspect.EnumType):
        return [*kind.cls]
    return kind.values if isinstance(kind, inspect.LiteralType) else ()


def _whole_bounds(kind: Any) -> tuple[int | None, int | None]:
    """Return the least and the greatest whole number that a type of numbers allows."""
    low = math.ceil(kind.ge) if kind.ge is not None else math.floor(kind.gt) + 1 if kind.gt is not None else None
    high = math.floor(kind.le) if kind.le is not None else math.ceil(kind.lt) - 1 if kind.lt is not None else None
    return low, high


def _whole(chance: Chance, low: int | None, high: int | None, multiple: int = 1) -> int:
    """Return a small number mostly, as amounts meet each other then, and now and then one at the bounds.

    Raises:
        TypeError: there is none between the bounds.
    """
    low, high = None if low is None else -(-low // multiple), None if high is None else high // multiple
    if low is not None and high is not None and low > high:
        raise TypeError(f"there is no number from {low * multiple} to {high * multiple}")
    if chance.happens(_ODD) and (low is not None or high is not None):
        return multiple * chance.pick([each for each in (low, high) if each is not None])
    first = 0 if low is None else max(low, -_SMALL // 4)
    last = first + _SMALL if high is None else min(first + _SMALL, high)
    first = first if first <= last else last - _SMALL if low is None else max(low, last - _SMALL)
    return multiple * (first + chance.below(last - first + 1))


def _integer(chance: Chance, kind: inspect.IntType) -> int:
    return _whole(chance, *_whole_bounds(kind), kind.multiple_of or 1)


def _real(chance: Chance, kind: inspect.FloatType) -> float:
    """Return a whole number or one with a fraction; between bounds where no whole one is, one with a fraction."""
    low, high = _whole_bounds(kind)
    if kind.multiple_of:
        return _real_multiple(chance, kind, kind.multiple_of)
    if low is None or high is None or low <= high:
        number = float(_whole(chance, low, high))
        part = number + chance.pick((0.0, 0.25, 0.5))
        return part if high is None or part <= high else number
    least: Any = kind.gt if kind.ge is None else kind.ge
    most: Any = kind.lt if kind.le is None else kind.le
    return float(least + (most - least) * chance.pick((0.25, 0.5, 0.75)))


def _real_multiple(chance: Chance, kind: inspect.FloatType, multiple: float) -> float:
    """Return a multiple that is one also as numbers of the machine are: 0.3 is none of 0.1."""
    low = kind.ge if kind.ge is not None else kind.gt + multiple / 2 if kind.gt is not None else None
    high = kind.le if kind.le is not None else kind.lt - multiple / 2 if kind.lt is not None else None
    first, last = (
        None if low is None else math.ceil(low / multiple),
        None if high is None else math.floor(high / multiple),
    )
    for number in [*[_whole(chance, first, last) for _ in range(_TRIES)], *[1 << each for each in range(_TRIES)]]:
        is_within = (first is None or number >= first) and (last is None or number <= last)
        if is_within and math.fmod(number * multiple, multiple) == 0:
            return number * multiple
    raise TypeError(f"no multiple of {multiple} was found")


def _text(chance: Chance, kind: inspect.StrType) -> str:
    low, high = kind.min_length or 0, kind.max_length
    if kind.pattern:
        return text_of(kind.pattern, chance, low, high)
    word = chance.pick(_WORDS) if chance.happens(_ODD) else chance.pick(_WORDS[:3])
    return word.ljust(low, "x")[: high if high is not None else len(word) + low]


def _bytes(chance: Chance, kind: inspect.BytesType) -> bytes:
    low = kind.min_length or 0
    size = low + chance.below(_SMALL if kind.max_length is None else min(_SMALL, kind.max_length - low + 1))
    return bytes([chance.below(256) for _ in range(size)])


def _uuid(chance: Chance, kind: inspect.UUIDType) -> UUID:
    return UUID(int=chance.below(1 << 62) << 64 | chance.below(1 << 62))


def _moment(chance: Chance, kind: inspect.DateTimeType) -> dt.datetime:
    zone = None if kind.tz is False else dt.UTC
    return _MOMENT.replace(tzinfo=zone) + dt.timedelta(hours=chance.below(5000))


MAKERS: dict[type, Callable[[Chance, Any], Any]] = {
    inspect.IntType: _integer,
    inspect.FloatType: _real,
    inspect.DecimalType: lambda chance, kind: Decimal(chance.below(2000)) / 100,
    inspect.BoolType: lambda chance, kind: chance.happens(0.5),
    inspect.NoneType: lambda chance, kind: None,
    inspect.StrType: _text,
    inspect.BytesType: _bytes,
    inspect.UUIDType: _uuid,
    inspect.DateTimeType: _moment,
    inspect.DateType: lambda chance, kind: (_MOMENT + dt.timedelta(days=chance.below(700))).date(),
    inspect.TimeType: lambda chance, kind: dt.time(chance.below(24), tzinfo=dt.UTC if kind.tz else None),
    inspect.TimeDeltaType: lambda chance, kind: dt.timedelta(minutes=chance.below(500)),
    inspect.EnumType: lambda chance, kind: chance.pick(options_of(kind)),
    inspect.LiteralType: lambda chance, kind: chance.pick(options_of(kind)),
    inspect.AnyType: lambda chance, kind: chance.pick(_ANYTHING),
}
"""What makes values, by what is known of a type. Raises TypeError where nothing fits all that it asks for."""
