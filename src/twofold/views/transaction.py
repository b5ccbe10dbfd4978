"""Rows in memory while a batch is folded into them: read once, changed many times, written once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar

from twofold.errors import DeclarationError, ValueRefused
from twofold.limits import FollowerLimits
from twofold.views.bounds import Packer
from twofold.views.shadow import shadow_layout
from twofold.views.store import TableChange, ViewStore, Write
from twofold.views.view import View, layout

V = TypeVar("V", bound=View)

_Change: TypeAlias = tuple[Any, Any]
"""A row as it is to be; or None and a key as it is stored, whose row is to go."""


class NotShadowed(Exception):
    """Raised while shadows are filled: a projection writes a table that is not one of its views', and so has no shadow."""


class Transaction:
    """What a projection may do with its views: get rows, put and delete rows, and run statements of its own.

    All takes effect in the order in which it is written, and what is got is as all before it has left it. It is stored
    together with the follower's checkpoint. Rows that were read or written stay in memory for the next batch, as a
    follower is the only writer of its tables while it holds its claim; those of a table that a statement touches are
    read again.

    ``as_shadow`` everything goes to the shadows of the views' tables.
    """

    def __init__(
        self,
        store: ViewStore,
        views: Sequence[type[View]],
        *,
        as_shadow: bool = False,
        limits: FollowerLimits = FollowerLimits(),
    ) -> None:
        self._store = store
        self._cached_rows = limits.cached_rows
        self._shadows = as_shadow
        shapes = [layout(view) for view in views]
        self._layouts = {shape.table: shadow_layout(shape) if as_shadow else shape for shape in shapes}
        self._tables = {view: shape.table for view, shape in zip(views, shapes, strict=True)}
        self._packers = {table: Packer(shape) for table, shape in self._layouts.items()}
        self.is_strict = False
        """Whether a row is looked at as it is put, and not as it is written: so it is known which event is to blame."""
        self._known: dict[tuple[str, Any], Any] = {}
        self._changed: dict[tuple[str, Any], _Change] = {}
        # What was changed before the last statement, and all that is to be written up to that.
        self._changed_before: dict[tuple[str, Any], _Change] = {}
        self._written: list[Write] = []
        self._touched: set[str] = set()

    @property
    def tables(self) -> list[str]:
        """The tables that it writes."""
        return [shape.table for shape in self._layouts.values()]

    @property
    def is_touched(self) -> bool:
        """Whether a statement is to be run that may change rows: until it is, what they will be is not known here."""
        return bool(self._touched)

    async def get(self, view: type[V], key: Any) -> V:
        """Return the row of a key, or what a row starts as if there is none; a key of several parts is a tuple.

        Raises:
            DeclarationError: the view is not one that the projection names.
            TypeError: the key has not the parts that the view's have.
        """
        table = self._table(view)
        if self._layouts[table].table in self._touched:
            row = await self._preview(table, key)
        else:
            if (table, key) not in self._changed and (table, key) not in self._changed_before:
                await self.prefetch(table, [key])
            row = self.peek(table, key)
        return view(key=key) if row is None else row

    async def _preview(self, table: str, key: Any) -> Any:
        shape = self._layouts[table]
        stored = await self._store.preview(self.writes(), shape, self._stored_keys(table, [key]))
        return shape.unpack(stored[0]) if stored else None

    async def prefetch(self, table: str, keys: Iterable[Any]) -> None:
        """Read at once the rows of the keys that are not in memory."""
        missing = [key for key in keys if (table, key) not in self._known]
        if not missing:
            return
        shape = self._layouts[table]
        rows = [shape.unpack(stored) for stored in await self._store.load(shape, self._stored_keys(table, missing))]
        # Only now: until it is known which rows there are, none must be taken for absent.
        self._known.update({(table, key): None for key in missing})
        self._known.update({(table, row.key): row for row in rows})

    def _stored_keys(self, table: str, keys: Iterable[Any]) -> list[Any]:
        """Return as they are stored those of the keys of which there can be a row."""
        stored = []
        for key in keys:
            with suppress(ValueRefused):
                stored.append(self._packers[table].key(key))
        return stored

    def peek(self, table: str, key: Any) -> Any:
        """Return the row of a key that is in memory, or None if there is no row."""
        at = (table, key)
        changed = self._changed.get(at) or self._changed_before.get(at)
        return changed[0] if changed is not None else self._known.get(at)

    def put(self, row: View) -> None:
        """Write a row.

        Raises:
            ValueRefused: it would be read as another one or, if it is strict, not every database can hold it.
            DeclarationError: its view is not one that the projection names.
        """
        table = self._tables.get(type(row)) or self._table(type(row))
        packer = self._packers[table]
        if self.is_strict:
            packer.row(row)
        self._changed[table, row.key] = (packer.normalized(row), None)

    def delete(self, view: type[View], key: Any) -> None:
        """Delete the row of a key, if there is one.

        Raises:
            DeclarationError: the view is not one that the projection names.
        """
        table = self._table(view)
        for stored in self._stored_keys(table, [key]):
            self._changed[table, key] = (None, stored)

    def delete_where(self, view: type[View], condition: Any, *more: Any) -> None:
        """Delete the rows for which all conditions hold: ``rows.delete_where(Item, Item.c.owner == event.owner)``.

        Raises:
            DeclarationError: the view is not one that the projection names.
        """
        from twofold.views.tables import delete_statement

        self._table(view)
        self.execute(delete_statement(view, condition, *more))

    def _table(self, view: type[View]) -> str:
        if view in self._tables:
            return self._tables[view]
        raise DeclarationError(
            f"A projection reads and writes rows of {view.__name__}, and does not name it: what it finds there, and what "
            f"another follower makes of it, depends on which of them is first. Write @project(…, {view.__name__}), and let "
            "nothing else fill it."
        )

    def execute(self, statement: Any) -> None:
        """Run a SQLAlchemy Core statement that writes, on tables of your own or on those of the projection's views.

        Raises:
            DeclarationError: it writes a view that the projection does not name.
        """
        from twofold.views.tables import named_tables, redirected, touched_tables, written_view

        view = written_view(statement)
        if view is not None:
            self._table(view)
        if self._shadows:
            self._check_shadowed(named_tables(statement))
            statement = redirected(statement, {table: shadow.table for table, shadow in self._layouts.items()})
        self._written += self._changes()
        self._written.append(statement)
        self._changed_before |= self._changed
        self._changed.clear()
        self._touched |= touched_tables(statement, self.tables)

    def _check_shadowed(self, tables: set[str]) -> None:
        others = sorted(tables - self._layouts.keys())
        if others:
            raise NotShadowed(
                f"it writes or reads {', '.join(others)} by statements, beside {', '.join(self._layouts)}"
            )

    def writes(self) -> list[Write]:
        """Return what is to be written, in order; between statements, that is one change of each table.

        Raises:
            ValueRefused: not every database can hold one of the rows; the text names the field.
        """
        return [*self._written, *self._changes()]

    def _changes(self) -> list[TableChange]:
        by_table: dict[str, tuple[list[Any], list[Any]]] = {}
        for (table, _), (row, key) in self._changed.items():
            puts, deletes = by_table.get(table) or by_table.setdefault(table, ([], []))
            if row is None:
                deletes.append(key)
            else:
                puts.append(row)
        return [
            TableChange(self._layouts[table], self._packers[table].rows(puts), deletes)
            for table, (puts, deletes) in by_table.items()
        ]

    def accept(self) -> None:
        """Take note that everything was stored."""
        if len(self._known) > self._cached_rows:
            self._known.clear()
        for changed in (self._changed_before, self._changed):
            self._known.update({at: row for at, (row, _) in changed.items()})
        if self._touched:
            kept = {table for table, shape in self._layouts.items() if shape.table not in self._touched}
            self._known = {at: row for at, row in self._known.items() if at[0] in kept}
        self.discard()

    def discard(self) -> None:
        """Forget what was not stored."""
        self._changed.clear()
        self._changed_before.clear()
        self._written = []
        self._touched.clear()

    def forget(self) -> None:
        """Forget all rows, as somebody else may have written them."""
        self._known.clear()
        self.discard()
