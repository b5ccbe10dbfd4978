"""What a row may hold: the same on every database, so that none refuses, or changes, what another one takes.

It is checked where a row is made, so it is known at once whose row and which event it is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec

from twofold.errors import ValueRefused
from twofold.views.view import Column, Layout, View, layout

LONGEST_INDEXED_BYTES = 2_600
"""Of a text in UTF-8 that is a key or has an index: PostgreSQL has room for about 2,700. Parts of a key share them evenly."""

LONGEST_TEXT_BYTES = 100_000_000
"""Of any other text in UTF-8: databases and drivers take up to a thousand million bytes, of all that is sent at once."""

_LEAST, _MOST = -(2**63), 2**63 - 1
_MANY = 8

Pack: TypeAlias = Callable[[Any], Any]


class Packer:
    """Turns a view's rows and keys into what databases store, or refuses them."""

    def __init__(self, shape: Layout) -> None:
        parts = len(shape.key_columns)
        bounds = [LONGEST_INDEXED_BYTES if each.indexed else LONGEST_TEXT_BYTES for each in shape.columns]
        bounds[:parts] = [LONGEST_INDEXED_BYTES // parts] * parts
        self._columns = list(zip(shape.columns, bounds, strict=True))
        self._packs = [(column.name, _packing(shape, column, longest)) for column, longest in self._columns]
        self.key: Pack = _key_packing(shape, [pack for _, pack in self._packs[:parts]])
        """Packs a key; raises `ValueRefused` if no row can have it."""
        self._normalizing = [
            (each.name, _normalizing(shape, each, each.normalize)) for each in shape.columns if each.normalize
        ]

    def normalized(self, row: Any) -> Any:
        """Return a row as it would be read again: what comes of it must not depend on whether it has been.

        Raises:
            ValueRefused: it would be another row; the text names the field.
        """
        changed = {}
        for name, normalize in self._normalizing:
            value = getattr(row, name)
            normal = normalize(value)
            if normal is not value:
                changed[name] = normal
        return msgspec.structs.replace(row, **changed) if changed else row

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
        if len(rows) >= _MANY:
            with suppress(Exception):
                return list(zip(*[_column(column, longest, rows) for column, longest in self._columns], strict=True))
        return [self.row(row) for row in rows]


@functools.cache
def key_packing(view: type[View]) -> Pack:
    """Return what packs the keys of a view; it raises `ValueRefused` if no row can have it."""
    return Packer(layout(view)).key


def _column(column: Column, longest: int, rows: Sequence[Any]) -> list[Any]:
    values = list(map(attrgetter(column.name), rows))
    if not (
        column.packing.unpack is None and {*map(type, values)} == {column.kind} and _are_plain(column.kind, values)
    ):
        values = list(map(column.pack, values))
    # A character has at most four bytes.
    if column.kind is str and 4 * max([len(text or "") for text in values]) > longest:
        raise ValueError("one of them may be too long")
    return values


def _are_plain(kind: type, values: list[Any]) -> bool:
    """Say whether values of one type are certainly such as they are stored."""
    if kind is int:
        return bool(_LEAST <= min(values) <= max(values) <= _MOST)
    text = "".join(values) if kind is str else "\0"
    return text.isascii() and "\0" not in text


def _packing(shape: Layout, column: Column, longest: int) -> Pack:
    def packed(value: Any) -> Any:
        try:
            stored = column.pack(value)
            if isinstance(stored, str) and 4 * len(stored) > longest and len(stored.encode()) > longest:
                what = "a text" if longest == LONGEST_TEXT_BYTES else "a key or an indexed text"
                raise ValueError(f"{what} has at most {longest:,} bytes in UTF-8")
        except Exception as error:
            raise _refused(shape, column, value, error) from error
        return stored

    return packed


def _key_packing(shape: Layout, packs: list[Pack]) -> Pack:
    composite = shape.composite
    if composite is None:
        return packs[0]

    def packed(key: Any) -> tuple[Any, ...]:
        composite.check(key, shape.view.__name__)
        return tuple([pack(part) for pack, part in zip(packs, key, strict=True)])

    return packed


def _normalizing(shape: Layout, column: Column, normalize: Pack) -> Pack:
    def normalized(value: Any) -> Any:
        try:
            return normalize(value)
        except Exception as error:
            raise _refused(shape, column, value, error) from error

    return normalized


def _refused(shape: Layout, column: Column, value: Any, error: Exception) -> ValueRefused:
    return ValueRefused(
        f"{shape.view.__name__}.{column.name} cannot be stored: {error}. It is {_shown(value)}. "
        "Keep it within these bounds where it is computed, or refuse the command that leads to it."
    )


def _shown(value: Any) -> str:
    try:
        return ascii(value)[:40]
    except Exception:
        # Python makes no text of numbers that are too long.
        return f"a {type(value).__name__}"
