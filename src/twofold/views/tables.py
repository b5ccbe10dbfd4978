"""The views' tables as SQLAlchemy knows them.

Only this module, those of conditions and pages, and adapters import it, so that commands start without.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from typing import Any

from sqlalchemy import Column, Delete, Index, MetaData, Table, TextClause, UpdateBase, delete
from sqlalchemy.sql import visitors

from twofold.views.conditions import sql_type
from twofold.views.names import index_name
from twofold.views.view import Layout, layout


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
    for each in shape.columns:
        options: Any = {"primary_key": each in shape.key_columns, "nullable": each.nullable, "autoincrement": False}
        columns.append(Column(each.name, sql_type(each), **options))
    table = Table(name or shape.table, MetaData(), *columns, info={"view": shape.view})
    for each in shape.columns:
        if each.indexed:
            names = [each.name, *_other_parts(shape, each)]
            Index(index_name(shape.table, word, each.name), *[table.c[name] for name in names])
    return table


def _other_parts(shape: Layout, column: Any) -> list[str]:
    """Return the other parts of the key that a column is of: in their order the rows of one part are asked for."""
    parts = shape.key_columns
    return [part.name for part in parts if part is not column] if column in parts else []


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


def named_views(*parts: Any) -> set[Any]:
    """Return the views whose tables are named in parts of a statement."""
    return {table.info["view"] for table in _tables(*parts) if "view" in table.info}


def named_tables(*parts: Any) -> set[str]:
    """Return the names of the tables in parts of a statement; text of SQL could mean any table, and is among them as it is."""
    names = set()
    for element in chain.from_iterable(map(visitors.iterate, parts)):
        if isinstance(element, TextClause):
            names.add(element.text)
    return names | {table.name for table in _tables(*parts)}


def _tables(*parts: Any) -> Iterator[Table]:
    for element in chain.from_iterable(map(visitors.iterate, parts)):
        table = element.table if isinstance(element, Column) else element
        if isinstance(table, Table):
            yield table
