"""Views in SQLite that are filled anew beside those that answer, and what becomes of the old ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite as dialects
from sqlalchemy.schema import CreateIndex, CreateTable, DDLElement

from twofold.adapters.sqlite.claims import declared
from twofold.adapters.sqlite.database import marks, transaction
from twofold.adapters.statements import load_statements
from twofold.followers import WHOLE
from twofold.views import Layout
from twofold.views.shadow import HELD, shadow_follower, shadow_table
from twofold.views.tables import table_for

_SQL = load_statements("twofold.adapters.sqlite", "rebuilding.sql")


def begin(follower: str, layouts: Sequence[Layout], now_us: int, connection: sqlite3.Connection) -> int:
    """Make the shadows and their follower, unless they are there, and return its fence: one that was never given.

    A process that still follows an earlier rebuilding must not come in between. So it is the time, or more.
    """
    shadow = shadow_follower(follower)
    with transaction(connection):
        if _says(connection, "is_begun", shadow):
            return 0
        for layout in layouts:
            for statement in _creation(_new_table(connection, layout)):
                connection.execute(statement)
        connection.execute(_SQL["ensure_follower"], (follower, WHOLE, follower))
        (highest,) = connection.execute(_SQL["highest_fence"], (follower, shadow)).fetchone()
        fence: int = max(now_us, highest + 1)
        connection.execute(_SQL["begin"], (shadow, fence, follower))
        return fence


def _new_table(connection: sqlite3.Connection, layout: Layout) -> Table:
    """Return the shadow's table. SQLite cannot rename an index, so each rebuilding takes the names that the last one left."""
    names = [index.name for index in table_for(layout).indexes]
    statement = _SQL["has_index"].format(names=marks(names))
    (taken,) = connection.execute(statement, names).fetchone()
    return table_for(layout, shadow_table(layout.table), "on" if taken else "by")


def _creation(table: Table) -> Iterator[str]:
    elements: list[DDLElement] = [CreateTable(table), *map(CreateIndex, table.indexes)]
    for element in elements:
        yield str(element.compile(dialect=dialects.dialect()))


def take_over(follower: str, layouts: Sequence[Layout], held_until: float, connection: sqlite3.Connection) -> bool:
    """Put the shadows in the tables' place if they are not behind; say whether there is none any more."""
    shadow = shadow_follower(follower)
    # Without the lock first: that is asked again and again, and nearly always in vain.
    if not held_until and _says(connection, "is_behind", shadow, follower):
        return False
    # What others have made of a table, such as views in SQL, goes by its name, and is not looked at while that is missing.
    connection.execute(_SQL["rename_this_table_only"])
    with transaction(connection):
        if not _says(connection, "is_begun", shadow):
            return True
        if _says(connection, "is_behind", shadow, follower):
            if held_until:
                connection.execute(_SQL["hold"], (HELD, held_until, follower))
            return False
        for layout in layouts:
            connection.execute(_SQL["drop_table"].format(table=layout.table))
            connection.execute(_SQL["rename"].format(shadow=shadow_table(layout.table), table=layout.table))
        (fence,) = connection.execute(_SQL["highest_fence"], (follower, shadow)).fetchone()
        _drop_follower(connection, follower)
        connection.execute(_SQL["hand_over_parked"], (follower, shadow))
        connection.execute(_SQL["hand_over_segments"], (follower, fence + 1, shadow))
        return True


def drop(
    follower: str, tables: Sequence[str], even_if_declared: bool, now: float, connection: sqlite3.Connection
) -> bool:
    """Drop tables and all that is kept of their follower; say whether that was done."""
    with transaction(connection):
        if not even_if_declared and follower in declared(now, connection):
            return False
        _drop_follower(connection, follower)
        connection.execute(_SQL["forget_caught_up"], (follower,))
        for table in tables:
            connection.execute(_SQL["drop_table"].format(table=table))
        return True


def _drop_follower(connection: sqlite3.Connection, follower: str) -> None:
    connection.execute(_SQL["drop_segments"], (follower,))
    connection.execute(_SQL["drop_parked"], (follower,))


def caught_up(connection: sqlite3.Connection) -> set[str]:
    """Return the followers that have once been where the log ended."""
    return {follower for (follower,) in connection.execute(_SQL["caught_up"])}


def mark_caught_up(followers: Sequence[str], connection: sqlite3.Connection) -> None:
    """Take note that followers have been where the log ended."""
    with transaction(connection):
        connection.executemany(_SQL["mark_caught_up"], [(follower,) for follower in followers])


def _says(connection: sqlite3.Connection, question: str, *values: object) -> bool:
    (answer,) = connection.execute(_SQL[question], values).fetchone()
    return bool(answer)
