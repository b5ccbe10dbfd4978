"""What a row may hold: the same on every database, so that none refuses, or changes, what another one takes.

It is checked where a row is made, so it is known at once whose row and which event it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from twofold.errors import ValueRefused
from twofold.views.view import Column, Layout

LONGEST_INDEXED_BYTES = 2_600
"""Of a text in UTF-8 that is a key or has an index: PostgreSQL has room for about 2,700."""

LONGEST_TEXT_BYTES = 100_000_000
"""Of any other text in UTF-8: databases and drivers take up to a thousand million bytes, of all that is sent at once."""

Pack: TypeAlias = Callable[[Any], Any]


class Packer:
    """Turns a view's rows and keys into what databases store, or refuses them."""

    def __init__(self, shape: Layout) -> None:
        self._shape = shape
        bounds = [LONGEST_INDEXED_BYTES if each.indexed else LONGEST_TEXT_BYTES for each in shape.columns]
        bounds[0] = LONGEST_INDEXED_BYTES
        columns = list(zip(shape.columns, bounds, strict=True))
        self._packs = [(column.name, _packing(shape, column, longest)) for column, longest in columns]
        self._texts = [(place, longest) for place, (column, longest) in enumerate(columns) if column.kind is str]
        self.key: Pack = self._packs[0][1]
        """Packs a key; raises `ValueRefused` if no row can have it."""

    def row(self, row: Any) -> tuple[Any, ...]:
        """Pack a row.

        Raises:
            ValueRefused: not every database can hold it; the text names the field.
        """
        return tuple([pack(getattr(row, name)) for name, pack in self._packs])

    def rows(self, rows: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Pack many rows; that their texts have room is nearly always seen at once, column by column.

        Raises:
            ValueRefused: not every database can hold one of them.
        """
        with suppress(Exception):
            packed = [self._shape.pack(row) for row in rows]
            columns = list(zip(*packed, strict=True))
            # A character has at most four bytes.
            if all(4 * max([len(text or "") for text in columns[place]]) <= longest for place, longest in self._texts):
                return packed
        return [self.row(row) for row in rows]


def _packing(shape: Layout, column: Column, longest: int) -> Pack:
    def packed(value: Any) -> Any:
        try:
            stored = column.pack(value)
            if isinstance(stored, str) and 4 * len(stored) > longest and len(stored.encode()) > longest:
                what = "a key or an indexed text" if longest == LONGEST_INDEXED_BYTES else "a text"
                raise ValueError(f"{what} has at most {longest:,} bytes in UTF-8")
        except Exception as error:
            raise ValueRefused(
                f"{shape.view.__name__}.{column.name} cannot be stored: {error}. It is {_shown(value)}. "
                "Keep it within these bounds where it is computed, or refuse the command that leads to it."
            ) from error
        return stored

    return packed


def _shown(value: Any) -> str:
    try:
        return ascii(value)[:40]
    except Exception:
        # Python makes no text of numbers that are too long.
        return f"a {type(value).__name__}"
