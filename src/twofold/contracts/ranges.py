"""From where to where something goes: the value of a number, or the length of a text, a list or a dictionary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec

End: TypeAlias = tuple[float, int]
"""Where a range ends: a number, with 1 if it begins just above it, and -1 if it ends just below it."""

_COUNTED = {
    "string": ("characters", "minLength", "maxLength"),
    "array": ("items", "minItems", "maxItems"),
    "object": ("fields", "minProperties", "maxProperties"),
}
_LENGTHS: dict[str, dict[str, int]] = {
    "date-time": {"minLength": 20, "maxLength": 32},
    "date-time-local": {"minLength": 19, "maxLength": 26},
    "date": {"minLength": 10, "maxLength": 10},
    "time": {"minLength": 9, "maxLength": 21},
    "partial-time": {"minLength": 8, "maxLength": 15},
    "duration": {"minLength": 3},
    "uuid": {"minLength": 36, "maxLength": 36},
    "decimal": {"minLength": 1},
}
"""How long a text is that is written in a format."""


class Range(msgspec.Struct, frozen=True):
    """A range with its two ends; None is no end."""

    least: End | None
    most: End | None
    unit: str = ""

    def exceeds(self, other: Range) -> Iterator[tuple[str, str]]:
        """Yield at which ends it goes beyond another one, in words for both.

        >>> [*Range((0, 0), None).exceeds(Range((0, 1), (9, 0)))]
        [('at least 0', 'more than 0'), ('of any size', 'at most 9')]
        """
        if other.least is not None and (self.least is None or self.least < other.least):
            yield self._told("at least", self.least), other._told("at least", other.least)
        if other.most is not None and (self.most is None or self.most > other.most):
            yield self._told("at most", self.most), other._told("at most", other.most)

    def _told(self, word: str, end: End | None) -> str:
        if end is None:
            return "of any length" if self.unit else "of any size"
        number, side = end
        unit = self.unit.removesuffix("s") if number == 1 else self.unit
        return f"{['less than', word, 'more than'][side + 1]} {number} {unit}".rstrip()


def range_written(option: dict[str, Any]) -> Range:
    """Return the range of what is written of an option, of which its format says more.

    >>> range_written({"type": "string", "format": "date"}).most
    (10, 0)
    """
    return range_of(_LENGTHS.get(option.get("format", ""), {}) | option)


def range_of(option: dict[str, Any]) -> Range:
    """Return the range of an option's values or lengths.

    >>> range_of({"type": "integer", "exclusiveMinimum": 0}).least
    (1, 0)
    """
    kind = option.get("type", "")
    if kind in _COUNTED:
        unit, least, most = _COUNTED[kind]
        longest = option.get(most, len(option["items"]) if _is_tuple(option) else None)
        shortest = option.get(least, 0)
        return Range((shortest, 0) if shortest else None, None if longest is None else (longest, 0), unit)
    step = 1 if kind == "integer" else 0
    return Range(_end(option, "inimum", 1, step), _end(option, "aximum", -1, step))


def _is_tuple(option: dict[str, Any]) -> bool:
    return isinstance(option.get("items"), list) and option.get("additionalItems") is False


def _end(option: dict[str, Any], name: str, side: int, step: int) -> End | None:
    beyond = option.get(f"exclusiveM{name}")
    if beyond is not None:
        return (beyond + side * step, 0) if step else (beyond, side)
    end = option.get(f"m{name}")
    return None if end is None else (end, 0)
