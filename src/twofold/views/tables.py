"""The views' tables as SQLAlchemy knows them. Only this module and adapters import it, so that commands start without."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from itertools import chain
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Delete,
    Float,
    Index,
    MetaData,
    Table,
    Text,
    TextClause,
    UpdateBase,
    delete,
)
from sqlalchemy.sql import visitors
from sqlalchemy.sql.operators import is_, is_not
from sqlalchemy.types import TypeDecorator, TypeEngine

from twofold.errors import DeclarationError
from twofold.views.names import index_name
from twofold.views.view import Column as ViewColumn
from twofold.views.view import Layout, layout

_TYPES: dict[type, type[TypeEngine[Any]]] = {int: BigInteger, float: Float, bool: Boolean, str: Text}


class Packed(TypeDecorator[Any]):
    """A value that is stored as text: users' statements give and get the value itself."""

    impl = Text
    cache_ok = True

    def __init__(self, column: ViewColumn) -> None:
        super().__init__()
        self.column = column

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return value if value is None or self.column.pack is None else self.column.pack(value)

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return value if value is None or self.column.unpack is None else self.column.unpack(value)

    class Comparator(TypeDecorator.Comparator[Any]):
        """Refuses what the database would answer wrongly."""

        def operate(self, op: Any, *other: Any, **options: Any) -> Any:
            if op not in (is_, is_not):
                check_ordered(self.type.column)  # type: ignore[attr-defined]
            return super().operate(op, *other, **options)

    comparator_factory = Comparator


def check_ordered(column: ViewColumn) -> None:
    """Check that the database can compare a column.

    Raises:
        DeclarationError: it cannot.
    """
    if not column.ordered:
        raise DeclarationError(
            f"{column.name} is a Decimal, which is stored as text to be exact, and SQL would compare and order that as "
            "text. For conditions, order and sums keep an int of the smallest unit, such as cents."
        )


def table_of(view: Any) -> Table:
    """Return a view's table, with an index for each field that is marked with `twofold.Index`."""
    return table_for(layout(view))


@functools.cache
def table_for(shape: Layout, name: str = "", word: str = "by") -> Table:
    """Return a layout's table, under another name if one is given, with ``word`` in the names of its indexes.

    >>> from twofold.testing.samples import Count
    >>> [index.name for index in table_for(layout(Count), "count_v1__rebuild", "on").indexes]
    ['count_v1_on_number']
    """
    columns: list[Any] = []
    for position, each in enumerate(shape.columns):
        stored = Packed(each) if each.kind is str and each.pack else _TYPES[each.kind]()
        columns.append(
            Column(each.name, stored, primary_key=position == 0, nullable=each.nullable, autoincrement=False)
        )
    table = Table(name or shape.table, MetaData(), *columns, info={"view": shape.view})
    for each in shape.columns:
        if each.indexed:
            Index(index_name(shape.table, word, each.name), table.c[each.name])
    return table


def redirected(statement: Any, names: Mapping[str, str]) -> Any:
    """Return a statement with other tables of the same columns in the place of those that are named.

    >>> from sqlalchemy import delete
    >>> from twofold.testing.samples import Count
    >>> print(redirected(delete(table_of(Count)), {"count_v1": "count_v1__rebuild"}))
    DELETE FROM count_v1__rebuild
    """
    found: dict[Table, Table] = {}

    def replace(element: Any, **_: Any) -> Any:
        table = element.table if isinstance(element, Column) else element
        if not isinstance(table, Table) or table.name not in names:
            return None
        other = found.setdefault(table, table.to_metadata(MetaData(), name=names[table.name]))
        return other if table is element else other.c[element.name]

    return visitors.replacement_traverse(statement, {}, replace)


def delete_statement(view: Any, condition: Any, *more: Any) -> Delete:
    """Return the statement that deletes the rows of a view for which all conditions hold."""
    return delete(table_of(view)).where(condition, *more)


def touched_tables(statement: Any, tables: Collection[str]) -> set[str]:
    """Return those of some tables that a statement may read or write: all, if it is text or names no table.

    >>> from sqlalchemy import delete, text
    >>> from twofold.testing.samples import Count
    >>> touched_tables(delete(table_of(Count)), ["count_v1", "others_v1"])
    {'count_v1'}
    >>> sorted(touched_tables(text("VACUUM"), ["count_v1", "others_v1"]))
    ['count_v1', 'others_v1']
    """
    named = named_tables(statement)
    is_known = named and not any(isinstance(element, TextClause) for element in visitors.iterate(statement))
    return named.intersection(tables) if is_known else {*tables}


def written_view(statement: Any) -> Any:
    """Return the view whose table a statement writes, or None if it writes none, or is text.

    >>> from sqlalchemy import insert
    >>> from twofold.testing.samples import Count
    >>> written_view(insert(table_of(Count))) is Count
    True
    """
    table = statement.table if isinstance(statement, UpdateBase) else None
    return table.info.get("view") if isinstance(table, Table) else None


def named_tables(*parts: Any) -> set[str]:
    """Return the names of the tables in parts of a statement; text of SQL could mean any table, and is among them as it is."""
    names = set()
    for element in chain.from_iterable(map(visitors.iterate, parts)):
        if isinstance(element, TextClause):
            names.add(element.text)
        table = element.table if isinstance(element, Column) else element
        if isinstance(table, Table):
            names.add(table.name)
    return names
