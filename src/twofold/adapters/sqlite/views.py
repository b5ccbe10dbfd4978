"""Views in a SQLite file, with their followers' checkpoints beside them.

The file is written with ``synchronous=NORMAL``: a power cut may take back the last commits, rows and checkpoint together,
and the follower then does them again from the log, which is durable.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any, TypeVar

from sqlalchemy import Connection as SqlalchemyConnection
from sqlalchemy import StaticPool, create_engine

from twofold.adapters.sqlite.database import (
    Connection,
    check_prepared,
    insert_rows,
    marks,
    transaction,
    upgrade,
)
from twofold.adapters.sqlite.session import Session
from twofold.clock import Clock
from twofold.followers import Checkpoint
from twofold.followers.checkpoints import advance
from twofold.followers.session import Unit, perform
from twofold.limits import SqliteLimits
from twofold.statements import load_statements
from twofold.views import Column, Layout, TableChange, Write

_SQL = load_statements("twofold.adapters.sqlite", "views.sql")
_KEYS_PER_STATEMENT = 500
_MEMORY = ":memory:"

T = TypeVar("T")


class SqliteViews:
    """The views' database in the file at ``path``, or in memory at ``:memory:``."""

    def __init__(self, path: str, clock: Clock, limits: SqliteLimits = SqliteLimits()) -> None:
        self._clock = clock
        self._writing = Connection(path, durable=False, limits=limits)
        # A database in memory belongs to one connection. A file is read beside the writing, and users' statements, which
        # may take as long as they like, hold up neither followers nor the reading of single rows.
        self._reading = self._writing if path == _MEMORY else Connection(path, durable=False, limits=limits)
        self._selecting = self._writing if path == _MEMORY else Connection(path, durable=False, limits=limits)
        self._sessions: dict[sqlite3.Connection, SqlalchemyConnection] = {}

    async def open(self, *, read_only: bool = False) -> None:
        if read_only:
            self._reading.read_only = self._selecting.read_only = True
            await self._reading.run(check_prepared)
        else:
            await self._writing.run(lambda connection: upgrade(connection, "twofold.adapters.sqlite", "views_"))

    @property
    def name(self) -> str:
        return self._writing.path

    # Units of work: each is done in one go on the connection's thread.

    async def run(self, unit: Unit[T], *, may_wait: bool = True) -> T:
        # Who reads holds nobody up, and who writes does so for no more than a moment: it can always wait.
        return await self._writing.run(partial(self._run, unit))

    def _run(self, unit: Unit[T], connection: sqlite3.Connection) -> T:
        with transaction(connection):
            return self._perform(unit, connection)

    async def read(self, unit: Unit[T]) -> T:
        return await self._reading.run(partial(self._perform, unit))

    def _perform(self, unit: Unit[T], connection: sqlite3.Connection) -> T:
        return perform(unit(), Session(connection, self._clock))

    # Rows.

    def _session(self, connection: sqlite3.Connection) -> SqlalchemyConnection:
        """Return SQLAlchemy's side of a connection; it lives as long and begins nothing by itself."""
        if connection not in self._sessions:
            # As in PostgreSQL, and in Python: LIKE tells upper from lower case, and `ilike` does not.
            connection.execute("PRAGMA case_sensitive_like = ON")
            engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
            self._sessions[connection] = engine.connect()
        return self._sessions[connection]

    async def load(self, layout: Layout, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        return await self._reading.run(partial(_load, layout, keys))

    async def select(self, statement: Any) -> list[Any]:
        return await self._selecting.run(partial(self._select, statement))

    def _select(self, statement: Any, connection: sqlite3.Connection) -> list[Any]:
        session = self._session(connection)
        try:
            return list(session.execute(statement).fetchall())
        finally:
            session.rollback()

    async def preview(self, writes: Sequence[Write], layout: Layout, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        return await self._writing.run(partial(self._preview, writes, layout, keys))

    def _preview(
        self, writes: Sequence[Write], layout: Layout, keys: Sequence[Any], connection: sqlite3.Connection
    ) -> list[tuple[Any, ...]]:
        with self._writing_all(writes, connection):
            connection.execute(_SQL["begin_preview"])
            self._write(writes, connection)
            rows = _load(layout, keys, connection)
            connection.execute(_SQL["take_back"])
            return rows

    async def commit(self, checkpoint: Checkpoint, writes: Sequence[Write] = ()) -> None:
        await self._writing.run(partial(self._commit, checkpoint, writes))

    def _commit(self, checkpoint: Checkpoint, writes: Sequence[Write], connection: sqlite3.Connection) -> None:
        with self._writing_all(writes, connection):
            self._perform(partial(advance, checkpoint), connection)
            self._write(writes, connection)

    @contextmanager
    def _writing_all(self, writes: Sequence[Write], connection: sqlite3.Connection) -> Iterator[None]:
        """Hold a transaction in which the writes, some of them statements perhaps, can be done."""
        has_statements = not all(isinstance(write, TableChange) for write in writes)
        if has_statements:
            # SQLAlchemy looks at a new connection, and ends what it takes for a transaction of its own: so before ours.
            self._session(connection)
        try:
            with transaction(connection):
                yield
        finally:
            if has_statements:
                self._session(connection).rollback()

    def _write(self, writes: Sequence[Write], connection: sqlite3.Connection) -> None:
        for write in writes:
            if isinstance(write, TableChange):
                _write(connection, write)
            else:
                self._session(connection).execute(write)

    async def close(self) -> None:
        for connection in {self._reading, self._selecting, self._writing}:
            await connection.close(self._close_session)

    def _close_session(self, connection: sqlite3.Connection) -> None:
        session = self._sessions.pop(connection, None)
        if session is not None:
            session.close()


def _load(layout: Layout, keys: Sequence[Any], connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    columns = ", ".join(_quoted(layout.columns))
    rows: list[tuple[Any, ...]] = []
    for start in range(0, len(keys), _KEYS_PER_STATEMENT):
        some = keys[start : start + _KEYS_PER_STATEMENT]
        condition, values = _any_of(layout, some)
        statement = _SQL["load"].format(columns=columns, table=layout.table, condition=condition)
        rows += connection.execute(statement, values).fetchall()
    return rows


def _any_of(layout: Layout, keys: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    """Return the condition for the rows of some keys, and the values that it has in it.

    Of several columns it is a list of alternatives: SQLite finds each in the index, which it does not for row values.
    """
    names = _quoted(layout.key_columns)
    if len(names) == 1:
        return f"{names[0]} IN ({marks(keys)})", keys
    one = " AND ".join([f"{name} = ?" for name in names])
    return " OR ".join([f"({one})"] * len(keys)), list(chain.from_iterable(keys))


def _quoted(columns: Sequence[Column]) -> list[str]:
    """Return columns' names in quotes, as a field may be called ``order``."""
    return [f'"{column.name}"' for column in columns]


def _write(connection: sqlite3.Connection, change: TableChange) -> None:
    layout = change.layout
    names, key = _quoted(layout.columns), _quoted(layout.key_columns)
    updates = ", ".join(f"{name} = excluded.{name}" for name in names[len(key) :])
    statement = _SQL["put" if updates else "put_key"].format(
        table=layout.table, columns=", ".join(names), key=", ".join(key), updates=updates, rows="{rows}"
    )
    insert_rows(connection, statement, change.puts)
    for start in range(0, len(change.deletes), _KEYS_PER_STATEMENT):
        some = change.deletes[start : start + _KEYS_PER_STATEMENT]
        condition, values = _any_of(layout, some)
        connection.execute(_SQL["delete"].format(table=layout.table, condition=condition), values)
