"""What units of work ask of a SQLite file, in whose transaction they run."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.dialects import sqlite as dialects

from twofold.clock import Clock, moment
from twofold.followers.owners import has_ended
from twofold.followers.statements import follower_statements
from twofold.statements import load_statements
from twofold.views import Layout
from twofold.views.schema import definitions, described

_SCHEMA = "main"
_SQL = follower_statements(_SCHEMA, placeholder="?") | load_statements("twofold.adapters.sqlite", "session.sql")
_DIALECT = dialects.dialect()
_TYPES = {int: "BIGINT", float: "FLOAT", bool: "BOOLEAN", str: "TEXT"}


class Session:
    """A `twofold.views.store.TableSession` on one connection."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    def fetch(self, statement: str, values: Sequence[Any]) -> list[Any]:
        return self._connection.execute(_SQL[statement], _stored(values)).fetchall()

    def execute(self, statement: str, values: Sequence[Any], table: str) -> int:
        text = _SQL[statement].format(table=table) if table else _SQL[statement]
        return self._connection.execute(text, _stored(values)).rowcount

    def execute_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        self._connection.executemany(_SQL[statement], map(_stored, rows))

    def now(self) -> datetime:
        return moment(self._clock.now_us())

    def lock(self, name: str) -> None:
        """Do nothing: a transaction has the file to itself."""

    def ended(self, owners: Collection[str]) -> set[str]:
        return {owner for owner in owners if has_ended(owner)}

    def columns(self, layout: Layout) -> tuple[list[str], list[str]]:
        found = self._connection.execute(_SQL["columns"], (layout.table,)).fetchall()
        return [column for (column,) in found], described(layout, _TYPES)

    def create(self, layout: Layout, table: str, word: str) -> None:
        for statement in definitions(layout, _DIALECT, _SCHEMA, table, word):
            self._connection.execute(statement)

    def has_index(self, name: str) -> bool:
        return bool(self._connection.execute(_SQL["index"], (name,)).fetchone())

    def replace(self, layout: Layout, table: str) -> None:
        # What others have made of a table, such as views in SQL, goes by its name, and is not looked at while that is missing.
        self._connection.execute(_SQL["rename_this_table_only"])
        self.execute("drop_table", (), layout.table)
        self._connection.execute(_SQL["rename"].format(table=table, name=layout.table))


def _stored(values: Sequence[Any]) -> list[Any]:
    """Return values as SQLite stores them: it has no type for times."""
    return [value.timestamp() if isinstance(value, datetime) else value for value in values]
