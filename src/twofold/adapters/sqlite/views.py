"""Views in a SQLite file, with their followers' places beside them.

The file is written with ``synchronous=NORMAL``: a power cut may take back the last commits, rows and checkpoint together,
and the follower then does them again from the log, which is durable.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from sqlalchemy import Connection as SqlalchemyConnection
from sqlalchemy import StaticPool, create_engine
from sqlalchemy.dialects import sqlite as dialects

from twofold.adapters.sqlite import rebuilding
from twofold.adapters.sqlite.claims import attend, declared, divide, leave
from twofold.adapters.sqlite.database import (
    Connection,
    check_prepared,
    insert_rows,
    marks,
    path_of,
    transaction,
    upgrade,
)
from twofold.adapters.statements import load_statements
from twofold.clock import Clock
from twofold.errors import DeclarationError, LeaseLost
from twofold.followers import Checkpoint, Claim, Parked, Progress, Segment, Standing, standings
from twofold.followers.division import merge, split
from twofold.limits import Limits, SqliteLimits
from twofold.views import Layout, TableChange, Write
from twofold.views.tables import table_of

_SQL = load_statements("twofold.adapters.sqlite", "views.sql")
_DIALECT = dialects.dialect()
_KEYS_PER_STATEMENT = 500
_MEMORY = ":memory:"


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

    async def create(self, layout: Layout) -> None:
        await self._writing.run(partial(self._create, layout))

    def _create(self, layout: Layout, connection: sqlite3.Connection) -> None:
        session = self._session(connection)
        with transaction(connection):
            found = _columns_there(connection, layout.table)
            if not found:
                table_of(layout.view).create(session)
        session.commit()
        expected = _columns_of(layout)
        if found and found != expected:
            raise DeclarationError(
                f"The view {layout.view.__name__} has the columns {', '.join(expected)}, and its table {layout.table} in "
                f"{self._writing.path} has {', '.join(found)}. A changed view is a new version: declare "
                f"class {layout.view.__name__}(View, key=…, version={layout.view.state_version + 1})."
            )

    async def has(self, layout: Layout) -> bool:
        found = set(await self._reading.run(partial(_columns_there, table=layout.table)))
        # What may not be missing can be read as what may be.
        return all(found & {column, f"{column} NOT NULL"} for column in _columns_of(layout))

    def _session(self, connection: sqlite3.Connection) -> SqlalchemyConnection:
        """Return SQLAlchemy's side of a connection; it lives as long and begins nothing by itself."""
        if connection not in self._sessions:
            # As in PostgreSQL, and in Python: LIKE tells upper from lower case, and `ilike` does not.
            connection.execute("PRAGMA case_sensitive_like = ON")
            engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
            self._sessions[connection] = engine.connect()
        return self._sessions[connection]

    # Rows.

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

    async def apply(self, checkpoint: Checkpoint, writes: Sequence[Write]) -> None:
        await self._writing.run(partial(self._apply, checkpoint, writes))

    def _apply(self, checkpoint: Checkpoint, writes: Sequence[Write], connection: sqlite3.Connection) -> None:
        with self._writing_all(writes, connection):
            _settle(connection, checkpoint)
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

    # Followers' places.

    async def settle(self, checkpoint: Checkpoint) -> None:
        await self.apply(checkpoint, ())

    async def attend(self, owner: str, followers: Sequence[str], lease_seconds: float) -> list[Claim]:
        now = self._clock.now_us() / 1e6
        return await self._writing.run(partial(attend, owner, followers, now, now + lease_seconds))

    async def leave(self, owner: str) -> None:
        await self._writing.run(partial(leave, owner))

    async def release(self, claim: Claim) -> None:
        with suppress(LeaseLost):
            await self._fenced("release", (), claim)

    async def split(self, follower: str, parts: int) -> None:
        await self._writing.run(partial(divide, follower, lambda segments: split(follower, segments, parts)))

    async def merge(self, follower: str) -> None:
        await self._writing.run(partial(divide, follower, lambda segments: merge(follower, segments)))

    async def _fenced(self, statement: str, values: tuple[Any, ...], claim: Claim) -> None:
        def work(connection: sqlite3.Connection) -> None:
            _execute_fenced(connection, statement, values, claim)

        await self._writing.run(work)

    async def position(self, follower: str) -> int:
        position: int = (await self._rows("position", follower))[0][0]
        return position

    async def progress(self) -> list[Progress]:
        rows = await self._rows("progress", self._clock.now_us() / 1e6)
        return [Progress(name, Segment(low, high), *rest) for name, low, high, *rest in rows]

    async def standings(self) -> dict[str, Standing]:
        return standings(await self._rows("standings"))

    async def parked(self, follower: str = "", key: str = "", limit: int = 1000) -> list[Parked]:
        return [Parked(*row) for row in await self._rows("parked", follower, key, limit)]

    async def request_retry(self, follower: str, keys: Sequence[str]) -> int:
        return await self._changed("request_retry", [(follower, key) for key in keys])

    async def take_retries(self, claim: Claim) -> list[str]:
        # Almost always there is none, and finding that out takes no lock.
        keys = [key for (key,) in await self._rows("retries", claim.follower) if claim.segment.owns(key)]
        if keys:
            await self._changed("forget_retry", [(claim.follower, key) for key in keys])
        return keys

    async def discard(self, follower: str, key: str, position: int = 0) -> int:
        return await self._changed("discard", [(follower, key, position)])

    async def rewind(self, follower: str, tables: Sequence[str]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                for table in tables:
                    connection.execute(_SQL["empty"].format(table=table))
                connection.execute(_SQL["drop_parked"], (follower,))
                connection.execute(_SQL["rewind"], (follower,))

        await self._writing.run(work)

    # Rebuilding.

    async def begin_rebuild(self, follower: str, layouts: Sequence[Layout]) -> int:
        return await self._writing.run(partial(rebuilding.begin, follower, layouts, self._clock.now_us()))

    async def take_over(self, follower: str, layouts: Sequence[Layout], hold_seconds: float = 0) -> bool:
        held_until = self._clock.now_us() / 1e6 + hold_seconds if hold_seconds else 0
        return await self._writing.run(partial(rebuilding.take_over, follower, layouts, held_until))

    async def drop(self, follower: str, tables: Sequence[str], *, even_if_declared: bool = False) -> bool:
        now = self._clock.now_us() / 1e6
        return await self._writing.run(partial(rebuilding.drop, follower, tables, even_if_declared, now))

    async def declared(self) -> set[str]:
        return await self._reading.run(partial(declared, self._clock.now_us() / 1e6))

    async def caught_up(self) -> set[str]:
        return await self._reading.run(rebuilding.caught_up)

    async def mark_caught_up(self, followers: Sequence[str]) -> None:
        await self._writing.run(partial(rebuilding.mark_caught_up, followers))

    async def _rows(self, statement: str, *values: Any) -> list[Any]:
        return await self._reading.run(lambda connection: connection.execute(_SQL[statement], values).fetchall())

    async def _changed(self, statement: str, rows: list[tuple[Any, ...]]) -> int:
        def work(connection: sqlite3.Connection) -> int:
            with transaction(connection):
                return sum(connection.execute(_SQL[statement], row).rowcount for row in rows)

        return await self._writing.run(work)

    async def close(self) -> None:
        for connection in {self._reading, self._selecting, self._writing}:
            await connection.close(self._close_session)

    def _close_session(self, connection: sqlite3.Connection) -> None:
        session = self._sessions.pop(connection, None)
        if session is not None:
            session.close()


def _columns_there(connection: sqlite3.Connection, table: str) -> list[str]:
    return [_described(*row[1:4]) for row in connection.execute(f"PRAGMA table_info({table})")]


def _columns_of(layout: Layout) -> list[str]:
    return [_described(c.name, str(c.type.compile(_DIALECT)), not c.nullable) for c in table_of(layout.view).columns]


def _described(name: str, kind: str, required: object) -> str:
    return f"{name} {kind}{' NOT NULL' if required else ''}"


def _load(layout: Layout, keys: Sequence[Any], connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    columns = ", ".join(_names(layout))
    rows: list[tuple[Any, ...]] = []
    for start in range(0, len(keys), _KEYS_PER_STATEMENT):
        some = keys[start : start + _KEYS_PER_STATEMENT]
        statement = _SQL["load"].format(columns=columns, table=layout.table, keys=marks(some))
        rows += connection.execute(statement, some).fetchall()
    return rows


def _names(layout: Layout) -> list[str]:
    """Return the columns' names in quotes, as a field may be called ``order``."""
    return [f'"{column.name}"' for column in layout.columns]


def _write(connection: sqlite3.Connection, change: TableChange) -> None:
    layout = change.layout
    names = _names(layout)
    updates = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
    statement = _SQL["put" if updates else "put_key"]
    statement = statement.format(table=layout.table, columns=", ".join(names), updates=updates, rows="{rows}")
    insert_rows(connection, statement, change.puts)
    for start in range(0, len(change.deletes), _KEYS_PER_STATEMENT):
        some = change.deletes[start : start + _KEYS_PER_STATEMENT]
        connection.execute(_SQL["delete"].format(table=layout.table, keys=marks(some)), some)


def _settle(connection: sqlite3.Connection, checkpoint: Checkpoint) -> None:
    claim = checkpoint.claim
    _execute_fenced(connection, "advance", (checkpoint.position,), claim)
    for each in checkpoint.parked:
        row = (each.follower, each.key, each.position, each.error, each.attempts, each.parked_at_us)
        connection.execute(_SQL["park"], row)
    for key, position in checkpoint.unparked:
        connection.execute(_SQL["unpark"], (claim.follower, key, position))


def _execute_fenced(connection: sqlite3.Connection, statement: str, values: tuple[Any, ...], claim: Claim) -> None:
    changed = connection.execute(_SQL[statement], (*values, claim.follower, claim.segment.low, claim.fence)).rowcount
    if changed != 1:
        raise LeaseLost(f"{claim.follower} is followed by another process, or was rewound, since this one claimed it.")


def open_views(url: str, clock: Clock, limits: Limits) -> SqliteViews:
    """Return the views' store of a URL such as ``sqlite:///bank-views.db``, or ``memory:``."""
    return SqliteViews(_MEMORY if url == "memory:" else path_of(url), clock, limits.sqlite)
