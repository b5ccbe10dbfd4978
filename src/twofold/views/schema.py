"""Making views' tables: once, by whoever comes first, and as the view has its fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from twofold.errors import DeclarationError
from twofold.followers.session import Lock, Steps
from twofold.views.store import Columns, Create, ViewStore
from twofold.views.view import Layout

if TYPE_CHECKING:
    from sqlalchemy import Dialect
    from sqlalchemy.schema import DDLElement


_KEY = " KEY"


async def create(store: ViewStore, layout: Layout) -> None:
    """Create a view's table and indexes unless they are there.

    Raises:
        DeclarationError: the table is there and has other columns.
    """
    found, expected = await store.run(partial(_create, layout))
    if found and found != expected:
        name = layout.view.__name__
        raise DeclarationError(
            f"The view {name} has the columns {', '.join(expected)}, and its table {layout.table} in {store.name} has "
            f"{', '.join(found)}. A changed view is a new version: declare "
            f"class {name}(View, key=…, version={layout.view.state_version + 1})."
        )


def _create(layout: Layout) -> Steps[tuple[list[str], list[str]]]:
    # Processes that start together make the table one after the other, and the second one finds it made.
    yield Lock(layout.table)
    found, expected = yield Columns(layout)
    if not found:
        yield Create(layout, layout.table)
    return found, expected


async def has(store: ViewStore, layout: Layout) -> bool:
    """Say whether there is a table from which rows of this layout can be read: it may have more columns."""
    return await store.read(partial(_has, layout))


def _has(layout: Layout) -> Steps[bool]:
    found, expected = yield Columns(layout)
    keys = {column for column in found if column.endswith(_KEY)}
    # What may not be missing can be read as what may be; but rows go by one and the same key.
    return keys.issubset(expected) and all({column, f"{column} NOT NULL"}.intersection(found) for column in expected)


def described(layout: Layout, types: Mapping[type, str]) -> list[str]:
    """Return the columns that a layout's table should have, each as its name and type, in a database that has these types.

    >>> from twofold.testing.samples import Count
    >>> from twofold.views import layout
    >>> described(layout(Count), {int: "BIGINT", str: "TEXT"})
    ['key TEXT NOT NULL KEY', 'number BIGINT NOT NULL']
    """
    key = layout.key_columns
    return [
        f"{each.name} {types[each.kind]}{'' if each.nullable else ' NOT NULL'}{_KEY if each in key else ''}"
        for each in layout.columns
    ]


def definitions(layout: Layout, dialect: Dialect, schema: str, table: str, word: str) -> Iterator[str]:
    """Yield the statements that make a layout's table under a name, and its indexes with a word in theirs."""
    from sqlalchemy.schema import CreateIndex, CreateTable

    from twofold.views.tables import table_for

    made = table_for(layout, table, word)
    elements: list[DDLElement] = [CreateTable(made), *map(CreateIndex, made.indexes)]
    for element in elements:
        yield str(element.compile(dialect=dialect, schema_translate_map={None: schema}, render_schema_translate=True))
