"""Expected and found, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest
from typing import Any

import msgspec

_WIDTH = 56
_NOTHING = "(nothing)"


def comparison(what: str, expected: Iterable[object], found: Iterable[object]) -> str:
    """Return two columns of values, under a sentence, with a mark at each line that differs.

    >>> print(comparison("Other numbers.", [1, 2], [1, 3, 4]))
    Other numbers.
        expected    found
        1           1
      ! 2           3
      ! (nothing)   4
    """
    lines = [("", "expected", "found")]
    for left, right in zip_longest(map(_lines, expected), map(_lines, found)):
        for one, other in zip_longest(left or [_NOTHING], right or [_NOTHING], fillvalue=""):
            lines.append(("" if one == other else "!", one, other))
    if len(lines) == 1:
        lines.append(("", _NOTHING, _NOTHING))
    width = max([len(one) for _, one, _ in lines])
    return "\n".join([what, *[f"  {mark:1} {one:{width}}   {other}".rstrip() for mark, one, other in lines]])


def _lines(value: Any) -> list[str]:
    """Return a value on one line, or a long struct with a line for each field."""
    if isinstance(value, type):
        return [value.__name__]
    if isinstance(value, msgspec.Struct) and len(repr(value)) > _WIDTH:
        fields = [f"  {name}={getattr(value, name)!r}" for name in value.__struct_fields__]
        return [type(value).__name__, *fields]
    return [repr(value)]
