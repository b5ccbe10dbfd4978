"""Views in a PostgreSQL database, with their followers' checkpoints beside them; the log may be in another one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from twofold.adapters.postgres.address import Address
from twofold.adapters.postgres.database import UNBOUNDED, Connection, Database
from twofold.adapters.postgres.engine import Engine
from twofold.adapters.postgres.session import BE_QUICK, TYPES, Session, statements_of
from twofold.adapters.postgres.upgrade import check_prepared, upgrade
from twofold.clock import Clock
from twofold.errors import NotNow
from twofold.followers import Checkpoint
from twofold.followers.checkpoints import advance
from twofold.followers.session import Unit, perform_awaiting
from twofold.limits import Limits, PostgresqlLimits
from twofold.statements import load_statements
from twofold.views import Column, Layout, TableChange, Write

_SQL = load_statements("twofold.adapters.postgres", "views.sql")
T = TypeVar("T")


class PostgresViews:
    """The views' database and schema that a URL names, written by any number of processes."""

    def __init__(self, url: str, clock: Clock, limits: PostgresqlLimits = PostgresqlLimits()) -> None:
        self._database = Database(Address.of(url), clock, limits)
        self._address = self._database.address
        self._statements = statements_of(self._address)
        self._engine = Engine(self._database)

    async def open(self, *, read_only: bool = False) -> None:
        # A replica will do for reading.
        self._database.read_only = read_only
        prepare = check_prepared if read_only else upgrade
        await self._database.run(lambda connection: prepare(connection, self._address, "views"), call_seconds=UNBOUNDED)

    @property
    def name(self) -> str:
        return str(self._address)

    # Units of work.

    async def run(self, unit: Unit[T], *, may_wait: bool = True) -> T:
        return await self._database.run_apart(partial(self._run, unit, may_wait))

    async def _run(self, unit: Unit[T], may_wait: bool, connection: Connection) -> T:
        try:
            async with connection.transaction():
                if not may_wait:
                    # Whoever wants a table alone waits for running queries, and later queries wait for who asks.
                    await connection.execute(BE_QUICK)
                return await self._perform(unit, connection)
        except asyncpg.LockNotAvailableError as error:
            if may_wait:
                raise
            raise NotNow(f"{self._address}: others have locked what is asked for. Try again in a moment.") from error

    async def read(self, unit: Unit[T]) -> T:
        return await self._database.run(partial(self._perform, unit))

    async def _perform(self, unit: Unit[T], connection: Connection) -> T:
        return await perform_awaiting(unit(), Session(connection, self._address, self._statements))

    # Rows.

    async def load(self, layout: Layout, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        statement, values = self._load(layout), _key_lists(layout, keys)
        rows = await self._database.run(lambda connection: connection.fetch(statement, *values))
        return [tuple(row) for row in rows]

    def _load(self, layout: Layout) -> str:
        columns, table = ", ".join(_quoted(layout.columns)), self._table(layout.table)
        if layout.composite is None:
            return _SQL["load"].format(columns=columns, table=table)
        parts = [f"part{place}" for place in range(len(layout.key_columns))]
        condition = _all_equal(layout, [f"wanted.{part}" for part in parts])
        arrays = _arrays(layout.key_columns)
        return _SQL["load_parts"].format(
            columns=columns, table=table, arrays=arrays, parts=", ".join(parts), condition=condition
        )

    async def select(self, statement: Any) -> list[Any]:
        async with self._engine.session() as session:
            return list((await session.execute(statement)).fetchall())

    async def preview(self, writes: Sequence[Write], layout: Layout, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        statement = self._load(layout)
        async with self._engine.session() as session:
            previewed = await session.begin_nested()
            await self._write_all(writes, await _driver(session), session)
            rows = await (await _driver(session)).fetch(statement, *_key_lists(layout, keys))
            await previewed.rollback()
        return [tuple(row) for row in rows]

    async def commit(self, checkpoint: Checkpoint, writes: Sequence[Write] = ()) -> None:
        if all(isinstance(write, TableChange) for write in writes):
            await self._database.write(partial(self._commit, checkpoint, writes))
        else:
            await self._commit_with_statements(checkpoint, writes)

    async def _commit_with_statements(self, checkpoint: Checkpoint, writes: Sequence[Write]) -> None:
        async with self._engine.session() as session:
            raw = await _driver(session)
            await self._perform(partial(advance, checkpoint), raw)
            await self._write_all(writes, raw, session)

    async def _commit(self, checkpoint: Checkpoint, changes: Sequence[TableChange], connection: Connection) -> None:
        # If the connection was lost and this is done again, it does no harm: rows are written whole, not added to.
        async with connection.transaction():
            await self._perform(partial(advance, checkpoint), connection)
            for change in changes:
                await self._write(connection, change)

    async def _write_all(self, writes: Sequence[Write], connection: Connection, session: AsyncConnection) -> None:
        for write in writes:
            if isinstance(write, TableChange):
                await self._write(connection, write)
            else:
                await session.execute(write)

    async def _write(self, connection: Connection, change: TableChange) -> None:
        layout, table = change.layout, self._table(change.layout.table)
        if change.puts:
            names, key = _quoted(layout.columns), _quoted(layout.key_columns)
            updates = ", ".join(f"{name} = excluded.{name}" for name in names[len(key) :])
            action = f"UPDATE SET {updates}" if updates else "NOTHING"
            statement = _SQL["put"].format(
                table=table, columns=", ".join(names), arrays=_arrays(layout.columns), key=", ".join(key), action=action
            )
            await connection.execute(statement, *_lists(layout.columns, change.puts))
        if change.deletes:
            await self._delete(connection, change)

    async def _delete(self, connection: Connection, change: TableChange) -> None:
        layout, table = change.layout, self._table(change.layout.table)
        if layout.composite is None:
            await connection.execute(_SQL["delete"].format(table=table), change.deletes)
            return
        condition = _all_equal(layout, [f"${place}" for place in range(1, len(layout.key_columns) + 1)])
        await connection.executemany(_SQL["delete_parts"].format(table=table, condition=condition), change.deletes)

    def _table(self, name: str) -> str:
        return f"{self._address.quoted_schema}.{name}"

    async def close(self) -> None:
        await self._engine.close()
        await self._database.close()


async def _driver(session: AsyncConnection) -> Connection:
    """Return the driver's side of a SQLAlchemy connection."""
    connection: Connection = (await session.get_raw_connection()).driver_connection  # type: ignore[assignment]
    return connection


def _quoted(columns: Sequence[Column]) -> list[str]:
    """Return columns' names in quotes, as a field may be called ``order``."""
    return [f'"{column.name}"' for column in columns]


def _arrays(columns: Sequence[Column]) -> str:
    """Return the parameters that take many values of some columns, an array for each."""
    return ", ".join(f"${place}::{TYPES[column.kind]}[]" for place, column in enumerate(columns, 1))


def _all_equal(layout: Layout, values: Sequence[str]) -> str:
    """Return the condition that the parts of a key have these values."""
    return " AND ".join([f"{name} = {value}" for name, value in zip(_quoted(layout.key_columns), values, strict=True)])


def _key_lists(layout: Layout, keys: Sequence[Any]) -> list[list[Any]]:
    return [list(keys)] if layout.composite is None else _lists(layout.key_columns, keys)


def _lists(columns: Sequence[Column], rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    """Turn rows into one list for each column, as PostgreSQL takes many values at once."""
    lists = [list(values) for values in zip(*rows, strict=True)] or [[] for _ in columns]
    for place, column in enumerate(columns):
        if column.kind is bool:
            lists[place] = [None if value is None else bool(value) for value in lists[place]]
        elif column.kind is float:
            lists[place] = [None if value is None else float(value) for value in lists[place]]
    return lists


def open_views(url: str, clock: Clock, limits: Limits) -> PostgresViews:
    """Return the views' store of a URL such as ``postgresql://user:password@host:5432/database?schema=bank``."""
    return PostgresViews(url, clock, limits.postgresql)
