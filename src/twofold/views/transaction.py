"""Rows in memory while a batch is folded into them: read once, changed many times, written once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from twofold.views.store import TableChange, ViewStore
from twofold.views.view import Layout, View, layout

V = TypeVar("V", bound=View)

_ROWS_KEPT = 50_000


class NotShadowed(Exception):
    """Raised while shadows are filled: a projection writes a table that is not one of its views', and so has no shadow."""


class Transaction:
    """What a projection may do: get rows, put rows, delete rows, and run statements of its own.

    All of it is stored together with the follower's checkpoint, when the batch is through. Rows that were read or
    written stay in memory for the next batch, as a follower is the only writer of its tables while it holds its claim.

    ``shadows`` are the layouts with which the tables of these names are filled anew: all that is written goes there.
    """

    def __init__(self, store: ViewStore, shadows: Mapping[str, Layout] | None = None) -> None:
        self._store = store
        self._shadows = shadows or {}
        self._known: dict[tuple[str, Any], Any] = {}
        self._changed: dict[tuple[str, Any], tuple[Layout, Any]] = {}
        self.statements: list[Any] = []

    async def get(self, view: type[V], key: Any) -> V:
        """Return the row of a key, or what a row starts as if there is none."""
        shape = layout(view)
        shape = self._shadows.get(shape.table, shape)
        at = (shape.table, key)
        if at not in self._changed and at not in self._known:
            await self.prefetch(shape, [key])
        row = self.peek(shape, key)
        return view(key=key) if row is None else row

    async def prefetch(self, shape: Layout, keys: Iterable[Any]) -> None:
        """Read at once the rows of the keys that are not in memory."""
        missing = [key for key in keys if (shape.table, key) not in self._known]
        if not missing:
            return
        rows = [
            shape.unpack(stored) for stored in await self._store.load(shape, [shape.pack_key(key) for key in missing])
        ]
        # Only now: until it is known which rows there are, none must be taken for absent.
        self._known.update({(shape.table, key): None for key in missing})
        self._known.update({(shape.table, row.key): row for row in rows})

    def peek(self, shape: Layout, key: Any) -> Any:
        """Return the row of a key that is in memory, or None if there is no row."""
        at = (shape.table, key)
        changed = self._changed.get(at)
        return changed[1] if changed is not None else self._known.get(at)

    def put(self, row: View) -> None:
        """Write a row."""
        shape = layout(type(row))
        self._set(self._shadow_of(shape) if self._shadows else shape, row.key, row)

    def delete(self, view: type[View], key: Any) -> None:
        """Delete the row of a key, if there is one."""
        shape = layout(view)
        self._set(self._shadow_of(shape) if self._shadows else shape, key, None)

    def _shadow_of(self, shape: Layout) -> Layout:
        self._check_shadowed({shape.table})
        return self._shadows[shape.table]

    def _set(self, shape: Layout, key: Any, row: Any) -> None:
        self._changed[shape.table, key] = (shape, row)

    def execute(self, statement: Any) -> None:
        """Run a SQLAlchemy Core statement that writes, on tables of your own, when the batch is stored."""
        if self._shadows:
            from twofold.views.tables import named_tables, redirected

            self._check_shadowed(named_tables(statement))
            statement = redirected(statement, {table: shadow.table for table, shadow in self._shadows.items()})
        self.statements.append(statement)

    def _check_shadowed(self, tables: set[str]) -> None:
        others = sorted(tables - self._shadows.keys())
        if others:
            raise NotShadowed(
                f"it writes or reads {', '.join(others)} by statements, beside {', '.join(self._shadows)}"
            )

    def changes(self) -> list[TableChange]:
        """Return what is to be written, by table."""
        by_table: dict[str, TableChange] = {}
        for (table, key), (shape, row) in self._changed.items():
            change = by_table.setdefault(table, TableChange(shape, [], []))
            if row is None:
                change.deletes.append(shape.pack_key(key))
            else:
                change.puts.append(shape.pack(row))
        return list(by_table.values())

    def accept(self) -> None:
        """Take note that everything was stored."""
        if len(self._known) > _ROWS_KEPT:
            self._known.clear()
        self._known.update({at: row for at, (_, row) in self._changed.items()})
        self.discard()

    def discard(self) -> None:
        """Forget what was not stored."""
        self._changed.clear()
        self.statements.clear()

    def forget(self) -> None:
        """Forget all rows, as somebody else may have written them."""
        self._known.clear()
        self.discard()
