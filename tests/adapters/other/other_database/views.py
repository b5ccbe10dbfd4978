"""A database for views: SQLite in memory, by the standard library alone, without a thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import StaticPool, create_engine
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import StatementError

from twofold.clock import Clock, moment
from twofold.errors import LogUnavailable, ValueRefused
from twofold.followers import Checkpoint
from twofold.followers.checkpoints import advance
from twofold.followers.session import Unit, perform
from twofold.followers.statements import follower_statements
from twofold.limits import Limits
from twofold.views import Layout, TableChange, Write
from twofold.views.schema import definitions, described

T = TypeVar("T")

_SQL = follower_statements("main", placeholder="?")
_SCHEMA = Path(__file__).with_name("schema.sql").read_text()
_TYPES = {int: "BIGINT", float: "FLOAT", bool: "BOOLEAN", str: "TEXT"}


_DATABASES: dict[str, sqlite3.Connection] = {}
"""By their URLs: whoever opens the same one in this process has the same views."""


def open_views(url: str, clock: Clock, limits: Limits) -> OtherViews:
    if url not in _DATABASES:
        _DATABASES[url] = sqlite3.connect(":memory:", isolation_level=None)
    return OtherViews(_DATABASES[url], clock)


def forget_all() -> None:
    """Let go of all databases, which are otherwise there for as long as the process."""
    for connection in _DATABASES.values():
        connection.close()
    _DATABASES.clear()


class OtherViews:
    """A store for views on a connection of its own, or one that several have together."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        self.name = "other:"
        self._connection = connection
        self._session = OtherSession(connection, clock)
        engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
        self._statements = engine.connect()
        connection.execute("PRAGMA case_sensitive_like = ON")

    async def open(self, *, read_only: bool = False) -> None:
        if not read_only:
            self._connection.executescript(_SCHEMA)
        elif not self._session.columns_of("twofold_segments"):
            raise LogUnavailable("other: no service has been started with this database yet.")

    async def run(self, unit: Unit[T], *, may_wait: bool = True) -> T:
        with self._transaction():
            return perform(unit(), self._session)

    async def read(self, unit: Unit[T]) -> T:
        with _failures():
            return perform(unit(), self._session)

    async def commit(self, checkpoint: Checkpoint, writes: Sequence[Write] = ()) -> None:
        with self._transaction():
            perform(advance(checkpoint), self._session)
            self._write(writes)

    async def preview(self, writes: Sequence[Write], layout: Layout, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._transaction():
            self._connection.execute("SAVEPOINT preview")
            self._write(writes)
            rows = self._load(layout, keys)
            self._connection.execute("ROLLBACK TO preview")
            return rows

    async def load(self, layout: Layout, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        with _failures():
            return self._load(layout, keys)

    async def select(self, statement: Any) -> list[Any]:
        with _failures():
            try:
                return list(self._statements.execute(statement).fetchall())
            finally:
                self._statements.rollback()

    async def close(self) -> None:
        self._statements.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _failures():
            self._connection.execute("BEGIN")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                self._statements.rollback()

    def _load(self, layout: Layout, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        statement = f"SELECT {_columns(layout)} FROM {layout.table} WHERE {_condition(layout)}"
        return [row for key in keys for row in self._connection.execute(statement, _parts(layout, key))]

    def _write(self, writes: Sequence[Write]) -> None:
        for write in writes:
            if not isinstance(write, TableChange):
                self._statements.execute(write)
                continue
            layout, marks = write.layout, ", ".join("?" * len(write.layout.columns))
            put = f"INSERT OR REPLACE INTO {layout.table} ({_columns(layout)}) VALUES ({marks})"
            self._connection.executemany(put, write.puts)
            delete = f"DELETE FROM {layout.table} WHERE {_condition(layout)}"
            self._connection.executemany(delete, [_parts(layout, key) for key in write.deletes])


class OtherSession:
    """What units of work ask of it."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    def fetch(self, statement: str, values: Sequence[Any]) -> list[Any]:
        return self._connection.execute(_SQL[statement], _stored(values)).fetchall()

    def execute(self, statement: str, values: Sequence[Any], table: str) -> int:
        text = _SQL[statement].replace("{table}", table)
        return self._connection.execute(text, _stored(values)).rowcount

    def execute_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        self._connection.executemany(_SQL[statement], map(_stored, rows))

    def now(self) -> datetime:
        return moment(self._clock.now_us())

    def lock(self, name: str) -> None:
        """Do nothing: nobody else comes between."""

    def ended(self, owners: Collection[str]) -> set[str]:
        return set()

    def columns(self, layout: Layout) -> tuple[list[str], list[str]]:
        return self.columns_of(layout.table), described(layout, _TYPES)

    def columns_of(self, table: str) -> list[str]:
        rows = self._connection.execute(f"PRAGMA table_info({table})")
        return [
            f"{name} {kind}{' NOT NULL' if required else ''}{' KEY' if key else ''}"
            for _, name, kind, required, _, key in rows
        ]

    def create(self, layout: Layout, table: str, word: str) -> None:
        for statement in definitions(layout, sqlite.dialect(), "main", table, word):
            self._connection.execute(statement)

    def has_index(self, name: str) -> bool:
        return bool(self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchall())

    def replace(self, layout: Layout, table: str) -> None:
        self._connection.execute(f"DROP TABLE {layout.table}")
        self._connection.execute(f"ALTER TABLE {table} RENAME TO {layout.table}")


def _columns(layout: Layout) -> str:
    return ", ".join(f'"{column.name}"' for column in layout.columns)


def _condition(layout: Layout) -> str:
    return " AND ".join(f'"{column.name}" = ?' for column in layout.key_columns)


def _parts(layout: Layout, key: Any) -> tuple[Any, ...]:
    return key if layout.composite else (key,)


def _stored(values: Sequence[Any]) -> list[Any]:
    return [value.timestamp() if isinstance(value, datetime) else value for value in values]


@contextmanager
def _failures() -> Iterator[None]:
    """Tell what is refused from what is away: here, a table that is not there."""
    try:
        yield
    except (sqlite3.Error, StatementError, OverflowError, UnicodeError) as error:
        if "no such table" in str(error):
            raise LogUnavailable(f"other: {error}. Make the table.") from error
        raise ValueRefused(f"other: {error}. Again, it would be refused again.") from error
