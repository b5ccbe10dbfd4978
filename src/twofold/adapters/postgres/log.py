"""A log in a PostgreSQL database: each batch is decided and stored by one call, under a lock that ends with its commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self
from uuid import UUID

from msgspec.structs import astuple

from twofold.adapters.postgres.address import Address
from twofold.adapters.postgres.batch import batch_arguments, criteria_columns, outcomes_of
from twofold.adapters.postgres.database import UNBOUNDED, Connection, Database
from twofold.adapters.postgres.upgrade import check_prepared, upgrade
from twofold.adapters.postgres.wakeup import Signal
from twofold.clock import Clock, SystemClock
from twofold.limits import Limits, PostgresqlLimits
from twofold.log import (
    ALL,
    Append,
    Criteria,
    Outcome,
    ProcessedId,
    RecordedEvent,
    Snapshot,
    StoredPayload,
    TypeCount,
    check_id,
    check_query,
    lacking,
    not_remembered,
    stored_key,
    tag_rows,
)
from twofold.statements import load_statements

_SQL = load_statements("twofold.adapters.postgres", "log.sql")
_END = 1 << 62
_MOST = (1 << 31) - 1


class PostgresStore:
    """A log in the database and schema that a URL names, written and read by any number of processes.

    A lost connection is replaced, and what was under way is done again: a batch under its number, so that one which
    had been stored just before is found and not stored twice.

    Args:
        url: such as ``postgresql://user:password@host:5432/database?schema=orders``; the schema is made if need be.
        clock: for the pauses between tries.
        limits: among them, for how long a call goes on trying before it raises `twofold.errors.LogUnavailable`.
    """

    def __init__(self, url: str, clock: Clock | None = None, limits: PostgresqlLimits = PostgresqlLimits()) -> None:
        clock = clock or SystemClock()
        self._database = Database(Address.of(url), clock, limits)
        self._sql = self._statements("digest")
        self._signal = Signal(self._database, clock)
        self._turn = asyncio.Lock()
        self._writer = UUID(clock.new_id())
        self._number = 0
        self._acknowledged = 0

    def _statements(self, digest: str) -> dict[str, str]:
        schema = self._database.address.quoted_schema
        return {name: statement.format(schema=schema, digest=digest) for name, statement in _SQL.items()}

    async def open(self, *, read_only: bool = False) -> None:
        await self._database.run(self._check if read_only else self._prepare, call_seconds=UNBOUNDED)

    async def _check(self, connection: Connection) -> None:
        address = self._database.address
        await check_prepared(connection, address, "log")
        if not await connection.fetchval(self._sql["has_digests"], address.schema):
            self._sql = self._statements("''::bytea")

    async def _prepare(self, connection: Connection) -> None:
        await upgrade(connection, self._database.address, "log")
        await connection.execute(self._sql["forget_old_batches"])

    async def write(
        self, batch: Sequence[Append], recorded_at_us: int, *, meanwhile: Callable[[], object] | None = None
    ) -> list[Outcome]:
        columns = batch_arguments(batch)
        if meanwhile:
            meanwhile()
        async with self._turn:
            self._number += 1
            work = partial(self._append, (self._writer, self._number, self._acknowledged, recorded_at_us, *columns))
            row = await self._database.write(work)
            if row["stored"]:
                self._acknowledged = self._number
        return outcomes_of(batch, row)

    async def _append(self, arguments: Sequence[Any], connection: Connection) -> Any:
        self._signal.own_process = connection.get_server_pid()
        return await connection.fetchrow(self._sql["append"], *arguments)

    async def read(
        self, criteria: Criteria, after: int = 0, limit: int = 1000, *, backwards: bool = False
    ) -> list[RecordedEvent]:
        rows = await self._rows("read", criteria, after, limit, backwards)
        return [RecordedEvent(*row) for row in rows]

    async def _rows(
        self, statement: str, criteria: Criteria, after: int, limit: int, backwards: bool = False
    ) -> Sequence[Any]:
        check_query(criteria, after, limit)
        if not criteria:
            return []
        if any(not each.types and not each.tags for each in criteria):
            criteria = ALL
        above, below = (0, after or _END) if backwards else (min(after, _END), _END)
        arguments = (*criteria_columns(criteria), above, below, min(limit, _MOST), backwards)
        rows: Sequence[Any] = await self._database.run(
            lambda connection: connection.fetch(self._sql[statement], *arguments)
        )
        return rows

    async def history(self, criteria: Criteria, after: int = 0, limit: int = 1000) -> list[StoredPayload]:
        rows = await self._rows("history", criteria, after, limit)
        return [StoredPayload(*row) for row in rows]

    async def head(self) -> int:
        head: int = await self._database.run(lambda connection: connection.fetchval(self._sql["head"]))
        return head

    async def types(self, most: int) -> list[TypeCount]:
        rows = await self._database.run(lambda connection: connection.fetch(self._sql["types"], min(most, _MOST)))
        return [TypeCount(*row) for row in rows]

    async def processed(self, append_id: str) -> ProcessedId | None:
        check_id(append_id)
        row = await self._row("processed", stored_key(append_id))
        return ProcessedId(*row) if row else None

    async def read_processed(self, since: int, until: int, after: str = "", limit: int = 1000) -> list[ProcessedId]:
        arguments = (after, since, until, min(limit, _MOST))
        statement = self._sql["read_processed_lately" if since else "read_processed"]
        rows = await self._database.run(
            lambda connection: connection.fetch(statement, *arguments), call_seconds=UNBOUNDED
        )
        return [ProcessedId(*row) for row in rows]

    async def restore(self, events: Sequence[RecordedEvent], processed: Sequence[ProcessedId]) -> None:
        async with self._turn:
            # Thousands of events at once may take a busy server a while, and nobody waits behind them.
            restore, patience_seconds = (
                partial(self._restore, events, processed),
                self._database.limits.patience_seconds,
            )
            await self._database.write(restore, call_seconds=patience_seconds)

    async def _restore(
        self, events: Sequence[RecordedEvent], processed: Sequence[ProcessedId], connection: Connection
    ) -> None:
        async with connection.transaction(isolation="read_committed"):
            await connection.execute(self._sql["lock"])
            if events:
                head = await connection.fetchval(self._sql["head"])
                found = await connection.fetch(self._sql["ids_from"], events[0].position, len(events))
                new = lacking(events, head, [event_id for (event_id,) in found])
                await self._fill(connection, "log_events", [astuple(event) for event in new])
                await self._fill(connection, "log_tags", [(stored_key(tag), *rest) for tag, *rest in tag_rows(new)])
            remembered = await connection.fetch(self._sql["remembered"], [each.key for each in processed])
            new_ids = not_remembered(processed, {row[0]: ProcessedId(*row) for row in remembered})
            await self._fill(connection, "log_handled", [astuple(each) for each in new_ids])

    async def _fill(self, connection: Connection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        await connection.copy_records_to_table(table, schema_name=self._database.address.schema, records=rows)

    async def changed(self, timeout_seconds: float) -> None:
        await self._signal.wait(timeout_seconds)

    @property
    def snapshots(self) -> Self:
        return self

    async def load_snapshot(self, fold: str, key: str) -> Snapshot | None:
        row = await self._row("load_snapshot", fold, stored_key(key))
        return Snapshot(*row) if row else None

    async def save_snapshot(self, fold: str, key: str, snapshot: Snapshot) -> None:
        await self._row("save_snapshot", fold, stored_key(key), snapshot.position, snapshot.data)

    async def _row(self, statement: str, *arguments: object) -> Any:
        return await self._database.run(lambda connection: connection.fetchrow(self._sql[statement], *arguments))

    async def close(self) -> None:
        await self._signal.close()
        await self._database.close()


def open_log(url: str, clock: Clock, limits: Limits) -> PostgresStore:
    """Return the store of a URL such as ``postgresql://user:password@host:5432/database?schema=bank``."""
    return PostgresStore(url, clock, limits.postgresql)
