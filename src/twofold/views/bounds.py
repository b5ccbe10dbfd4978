"""What a row may hold: the same on every database, so that none refuses, or changes, what another one takes.

It is checked where a row is made, so it is known at once whose row and which event it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias

from twofold.errors import ValueRefused
from twofold.views.view import Column, Layout

LONGEST_INDEXED_BYTES = 2_600
"""Of a text in UTF-8 that is a key or has an index: PostgreSQL has room for about 2,700."""

LONGEST_TEXT_BYTES = 100_000_000
"""Of any other text in UTF-8: databases and drivers take up to a thousand million bytes, of all that is sent at once."""

_LEAST, _MOST = -(2**63), 2**63 - 1

Pack: TypeAlias = Callable[[Any], Any]


class Packer:
    """Turns a view's rows and keys into what databases store, or refuses them."""

    def __init__(self, shape: Layout) -> None:
        self._shape = shape
        self._bounds = [LONGEST_INDEXED_BYTES if each.indexed else LONGEST_TEXT_BYTES for each in shape.columns]
        self._bounds[0] = LONGEST_INDEXED_BYTES
        columns = zip(shape.columns, self._bounds, strict=True)
        self._packs = [(column.name, _packing(shape, column, longest)) for column, longest in columns]
        self.key: Pack = self._packs[0][1]
        """Packs a key; raises `ValueRefused` if no row can have it."""

    def row(self, row: Any) -> tuple[Any, ...]:
        """Pack a row.

        Raises:
            ValueRefused: not every database can hold it; the text names the field.
        """
        return tuple([pack(getattr(row, name)) for name, pack in self._packs])

    def rows(self, rows: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Pack many rows; that all of them can be stored is seen at once, column by column, and nearly always so.

        Raises:
            ValueRefused: not every database can hold one of them.
        """
        with suppress(Exception):
            packed = [self._shape.pack(row) for row in rows]
            columns = zip(self._shape.columns, self._bounds, zip(*packed, strict=True), strict=True)
            if all(_are_plain(column.kind, longest, values) for column, longest, values in columns):
                return packed
        return [self.row(row) for row in rows]


def _are_plain(kind: type, longest: int, values: Sequence[Any]) -> bool:
    if {*map(type, values)} != {kind}:
        return False
    if kind is int:
        return bool(_LEAST <= min(values) <= max(values) <= _MOST)
    if kind is str:
        text = "".join(values)
        # A character has at most four bytes, and what is half of one cannot be encoded.
        return 4 * max(map(len, values)) <= longest and "\0" not in text and len(text.encode()) >= 0
    return False


def _packing(shape: Layout, column: Column, longest: int) -> Pack:
    checks: dict[type, Pack] = {int: _int, float: _float, bool: _bool, str: partial(_text, longest)}
    check, pack = checks[column.kind], column.pack
    nullable = column.nullable and column is not shape.columns[0]

    def packed(value: Any) -> Any:
        if value is None and nullable:
            return None
        try:
            return check(value if pack is None or value is None else pack(value))
        except Exception as error:
            raise ValueRefused(
                f"{shape.view.__name__}.{column.name} cannot be stored: {error}. It is {ascii(value)[:40]}. "
                "Keep it within these bounds where it is computed, or refuse the command that leads to it."
            ) from error

    return packed


def _int(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError(f"it should be an int and is a {type(value).__name__}")
    if not _LEAST <= value <= _MOST:
        raise ValueError("an int is too large: it has 64 bits")
    return int(value)


def _float(value: Any) -> float:
    if not isinstance(value, int | float):
        raise TypeError(f"it should be a float and is a {type(value).__name__}")
    number = float(value)
    if math.isnan(number):
        raise ValueError("NaN is not a number, and databases disagree on what it equals")
    return number


def _bool(value: Any) -> int:
    if value not in (0, 1):
        raise TypeError(f"it should be a bool and is a {type(value).__name__}")
    return int(value)


def _text(longest: int, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"it should be a str and is a {type(value).__name__}")
    if "\0" in value:
        raise ValueError("a text has no NUL characters")
    if len(value) > longest or len(value.encode()) > longest:
        what = "a key or an indexed text" if longest == LONGEST_INDEXED_BYTES else "a text"
        raise ValueError(f"{what} has at most {longest:,} bytes in UTF-8")
    return value
