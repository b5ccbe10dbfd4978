"""Views in a PostgreSQL database, with their followers' places beside them; the log may be in another one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from twofold.adapters.postgres.address import Address
from twofold.adapters.postgres.claims import Claims
from twofold.adapters.postgres.database import UNBOUNDED, Connection, Database
from twofold.adapters.postgres.failures import FAULTS, failure_of, is_refused
from twofold.adapters.postgres.rebuilding import Rebuilding
from twofold.adapters.postgres.upgrade import check_prepared, upgrade
from twofold.adapters.statements import load_statements
from twofold.clock import Clock
from twofold.errors import DeclarationError, LeaseLost, ValueRefused
from twofold.followers import Checkpoint, Claim, Parked, Progress, Segment, Standing, standings
from twofold.followers.division import merge, split
from twofold.limits import Limits, PostgresqlLimits
from twofold.views import Layout, TableChange, Write
from twofold.views.tables import table_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_SQL = load_statements("twofold.adapters.postgres", "views.sql")
_TYPES = {int: "bigint", float: "double precision", bool: "boolean", str: "text"}
# Text is ordered by code points, as everywhere else, and not as in the language of the database.
_COLLATIONS: dict[type, str] = {str: ' COLLATE "C"'}


class PostgresViews:
    """The views' database and schema that a URL names, written by any number of processes."""

    def __init__(self, url: str, clock: Clock, limits: PostgresqlLimits = PostgresqlLimits()) -> None:
        self._database = Database(Address.of(url), clock, limits)
        self._address = self._database.address
        self._claims = Claims(self._address)
        self._sql = {
            name: statement.replace("{schema}", self._address.quoted_schema) for name, statement in _SQL.items()
        }
        self._rebuilding = Rebuilding(self._address)
        self._pool: AsyncEngine | None = None

    async def open(self, *, read_only: bool = False) -> None:
        # A replica will do for reading.
        self._database.read_only = read_only
        prepare = check_prepared if read_only else upgrade
        await self._database.run(lambda connection: prepare(connection, self._address, "views"), call_seconds=UNBOUNDED)

    async def create(self, layout: Layout) -> None:
        expected = _described(layout)
        async with self._session() as session:
            raw = await _driver(session)
            # Processes that start together make the table one after the other, and the second one finds it made.
            await raw.execute(self._sql["lock"], f"twofold {self._address.schema} {layout.table}")
            found = [row[0] for row in await raw.fetch(self._sql["columns"], self._address.schema, layout.table)]
            if not found:
                await session.run_sync(table_of(layout.view).create)
            elif found != expected:
                raise DeclarationError(
                    f"The view {layout.view.__name__} has the columns {', '.join(expected)}, and its table {layout.table} "
                    f"in {self._address} has {', '.join(found)}. A changed view is a new version: declare "
                    f"class {layout.view.__name__}(View, key=…, version={layout.view.state_version + 1})."
                )

    async def has(self, layout: Layout) -> bool:
        found = {row[0] for row in await self._rows("columns", self._address.schema, layout.table)}
        # What may not be missing can be read as what may be.
        return all(found & {column, f"{column} NOT NULL"} for column in _described(layout))

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[AsyncConnection]:
        """Give SQLAlchemy's side of a connection, for one transaction.

        Raises:
            LogUnavailable: the database cannot be used now.
            ValueRefused: it does not take the values or the statements.
        """
        try:
            engine = await self._engine()
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(self._database.limits.call_seconds):
                    session = await stack.enter_async_context(engine.connect())
                    await stack.enter_async_context(session.begin())
                    # SQLAlchemy begins with the first statement, and what is done on the driver's side should be within.
                    await session.exec_driver_sql("SELECT 1")
                yield session
        except (DBAPIError, PoolTimeout, *FAULTS) as error:
            if not is_refused(error, statements=True):
                # The next one connects anew: to another server, perhaps.
                await self._forget_connections()
            raise failure_of(self._address, error, statements=True) from error
        except StatementError as error:
            # SQLAlchemy itself refused it, before it asked the server.
            raise ValueRefused(f"{self._address}: {error}. Again, it would be refused again.") from error

    async def _engine(self) -> AsyncEngine:
        """Return what runs users' statements: SQLAlchemy, on connections of the same making.

        It keeps one and takes a few more where many ask at once. From a pooler it keeps none, as it prepares statements.
        """
        direct = await self._database.is_direct()
        if self._pool is None:
            more = self._database.limits.query_connections - 1
            kept: dict[str, Any] = {"pool_size": 1, "max_overflow": more, "pool_pre_ping": True}
            self._pool = create_async_engine(
                "postgresql+asyncpg://",
                async_creator=self._database.connect,
                execution_options={"schema_translate_map": {None: self._address.schema}},
                **(kept if direct else {"poolclass": NullPool}),
            )
        return self._pool

    async def _forget_connections(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.dispose()

    # Rows.

    async def load(self, layout: Layout, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        statement = self._load(layout)
        rows = await self._database.run(lambda connection: connection.fetch(statement, list(keys)))
        return [tuple(row) for row in rows]

    def _load(self, layout: Layout) -> str:
        return _SQL["load"].format(columns=", ".join(_names(layout)), table=self._table(layout.table))

    async def select(self, statement: Any) -> list[Any]:
        async with self._session() as session:
            return list((await session.execute(statement)).fetchall())

    async def preview(self, writes: Sequence[Write], layout: Layout, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        statement = self._load(layout)
        async with self._session() as session:
            previewed = await session.begin_nested()
            await self._write_all(writes, await _driver(session), session)
            rows = await (await _driver(session)).fetch(statement, list(keys))
            await previewed.rollback()
        return [tuple(row) for row in rows]

    async def apply(self, checkpoint: Checkpoint, writes: Sequence[Write]) -> None:
        if all(isinstance(write, TableChange) for write in writes):
            await self._database.write(partial(self._apply, checkpoint, writes))
        else:
            await self._apply_with_statements(checkpoint, writes)

    async def _apply_with_statements(self, checkpoint: Checkpoint, writes: Sequence[Write]) -> None:
        async with self._session() as session:
            raw = await _driver(session)
            await self._settle(checkpoint, raw)
            await self._write_all(writes, raw, session)

    async def _apply(self, checkpoint: Checkpoint, changes: Sequence[TableChange], connection: Connection) -> None:
        # If the connection was lost and this is done again, it does no harm: rows are written whole, not added to.
        async with connection.transaction():
            await self._settle(checkpoint, connection)
            for change in changes:
                await self._write(connection, change)

    async def _write_all(self, writes: Sequence[Write], connection: Connection, session: AsyncConnection) -> None:
        for write in writes:
            if isinstance(write, TableChange):
                await self._write(connection, write)
            else:
                await session.execute(write)

    async def _settle(self, checkpoint: Checkpoint, connection: Connection) -> None:
        claim = checkpoint.claim
        await self._check(connection, "advance", claim, checkpoint.position)
        if checkpoint.parked:
            rows = [(p.follower, p.key, p.position, p.error, p.attempts, p.parked_at_us) for p in checkpoint.parked]
            await connection.executemany(self._sql["park"], rows)
        if checkpoint.unparked:
            unparked = [(claim.follower, key, position) for key, position in checkpoint.unparked]
            await connection.executemany(self._sql["unpark"], unparked)

    async def _write(self, connection: Connection, change: TableChange) -> None:
        layout, table = change.layout, self._table(change.layout.table)
        if change.puts:
            names = _names(layout)
            arrays = [f"${place}::{_TYPES[column.kind]}[]" for place, column in enumerate(layout.columns, 1)]
            updates = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
            action = f"UPDATE SET {updates}" if updates else "NOTHING"
            statement = _SQL["put"].format(
                table=table, columns=", ".join(names), arrays=", ".join(arrays), action=action
            )
            await connection.execute(statement, *_columns(layout, change.puts))
        if change.deletes:
            await connection.execute(_SQL["delete"].format(table=table), change.deletes)

    def _table(self, name: str) -> str:
        return f"{self._address.quoted_schema}.{name}"

    # Followers' places.

    async def settle(self, checkpoint: Checkpoint) -> None:
        await self.apply(checkpoint, ())

    async def attend(self, owner: str, followers: Sequence[str], lease_seconds: float) -> list[Claim]:
        return await self._database.run_apart(partial(self._claims.attend, owner, list(followers), lease_seconds))

    async def leave(self, owner: str) -> None:
        await self._database.run_apart(partial(self._claims.leave, owner))

    async def release(self, claim: Claim) -> None:
        with suppress(LeaseLost):
            await self._database.run_apart(lambda connection: self._check(connection, "release", claim))

    async def split(self, follower: str, parts: int) -> None:
        divided = partial(self._claims.divide, follower, lambda segments: split(follower, segments, parts))
        await self._database.write(divided)

    async def merge(self, follower: str) -> None:
        await self._database.write(partial(self._claims.divide, follower, partial(merge, follower)))

    async def _check(self, connection: Connection, statement: str, claim: Claim, *values: Any) -> None:
        arguments = (claim.follower, claim.segment.low, claim.fence, *values)
        if not await connection.fetchval(self._sql[statement], *arguments):
            raise LeaseLost(
                f"{claim.follower} is followed by another process, or was rewound, since this one claimed it."
            )

    async def position(self, follower: str) -> int:
        position: int = (await self._rows("position", follower))[0][0]
        return position

    async def progress(self) -> list[Progress]:
        rows = await self._rows("progress")
        return [Progress(name, Segment(low, high), *rest) for name, low, high, *rest in rows]

    async def standings(self) -> dict[str, Standing]:
        return standings(await self._rows("standings"))

    async def parked(self, follower: str = "", key: str = "", limit: int = 1000) -> list[Parked]:
        return [Parked(*row) for row in await self._rows("parked", follower, key, limit)]

    async def request_retry(self, follower: str, keys: Sequence[str]) -> int:
        return len(await self._rows("request_retry", follower, list(keys)))

    async def take_retries(self, claim: Claim) -> list[str]:
        keys = [key for (key,) in await self._rows("retries", claim.follower) if claim.segment.owns(key)]
        if keys:
            await self._rows("forget_retries", claim.follower, keys)
        return keys

    async def discard(self, follower: str, key: str, position: int = 0) -> int:
        return len(await self._rows("discard", follower, key, position))

    async def rewind(self, follower: str, tables: Sequence[str]) -> None:
        async def work(connection: Connection) -> None:
            async with connection.transaction():
                # The segments first: that waits for a batch that is being stored, and shuts out the next.
                await connection.execute(self._sql["rewind"], follower)
                await connection.execute(self._sql["drop_parked"], follower)
                for table in tables:
                    await connection.execute(_SQL["empty"].format(table=self._table(table)))

        await self._database.write(work)

    # Rebuilding.

    async def begin_rebuild(self, follower: str, layouts: Sequence[Layout]) -> int:
        return await self._database.run(partial(self._rebuilding.begin, follower, layouts))

    async def take_over(self, follower: str, layouts: Sequence[Layout], hold_seconds: float = 0) -> bool:
        return await self._database.run(partial(self._rebuilding.take_over, follower, layouts, hold_seconds))

    async def drop(self, follower: str, tables: Sequence[str], *, even_if_declared: bool = False) -> bool:
        return await self._database.run(partial(self._rebuilding.drop, follower, tables, even_if_declared))

    async def declared(self) -> set[str]:
        return await self._database.run(self._rebuilding.declared)

    async def caught_up(self) -> set[str]:
        return await self._database.run(self._rebuilding.caught_up)

    async def mark_caught_up(self, followers: Sequence[str]) -> None:
        await self._database.run(partial(self._rebuilding.mark_caught_up, followers))

    async def _rows(self, statement: str, *values: Any) -> list[Any]:
        work: Callable[[Connection], Awaitable[list[Any]]] = lambda connection: connection.fetch(  # noqa: E731
            self._sql[statement], *values
        )
        return await self._database.run(work)

    async def close(self) -> None:
        await self._forget_connections()
        await self._database.close()


async def _driver(session: AsyncConnection) -> Connection:
    """Return the driver's side of a SQLAlchemy connection."""
    connection: Connection = (await session.get_raw_connection()).driver_connection  # type: ignore[assignment]
    return connection


def _described(layout: Layout) -> list[str]:
    return [
        f"{column.name} {_TYPES[column.kind]}{_COLLATIONS.get(column.kind, '')}{'' if column.nullable else ' NOT NULL'}"
        for column in layout.columns
    ]


def _names(layout: Layout) -> list[str]:
    """Return the columns' names in quotes, as a field may be called ``order``."""
    return [f'"{column.name}"' for column in layout.columns]


def _columns(layout: Layout, rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    """Turn rows into one list for each column, as PostgreSQL takes many values at once."""
    lists = [list(values) for values in zip(*rows, strict=True)]
    for place, column in enumerate(layout.columns):
        if column.kind is bool:
            lists[place] = [None if value is None else bool(value) for value in lists[place]]
        elif column.kind is float:
            lists[place] = [None if value is None else float(value) for value in lists[place]]
    return lists


def open_views(url: str, clock: Clock, limits: Limits) -> PostgresViews:
    """Return the views' store of a URL such as ``postgresql://user:password@host:5432/database?schema=bank``."""
    return PostgresViews(url, clock, limits.postgresql)
