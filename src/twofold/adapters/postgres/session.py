"""What units of work ask of a PostgreSQL schema, in a transaction or, to look at something, without one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.dialects import postgresql as dialects

from twofold.adapters.postgres.address import Address, quoted
from twofold.adapters.postgres.database import Connection
from twofold.followers.statements import follower_statements
from twofold.statements import load_statements
from twofold.views import Layout
from twofold.views.names import index_name
from twofold.views.schema import definitions, described
from twofold.views.shadow import fitted

_SQL = load_statements("twofold.adapters.postgres", "session.sql")
BE_QUICK = _SQL["be_quick"]
"""Has a transaction give up where it would wait for a lock longer than an instant."""

TYPES = {int: "bigint", float: "double precision", bool: "boolean", str: "text"}
# Text is ordered by code points, as everywhere else, and not as in the language of the database.
_COLUMN_TYPES = TYPES | {str: 'text COLLATE "C"'}
_DIALECT = dialects.dialect()  # type: ignore[no-untyped-call]


def statements_of(address: Address) -> dict[str, str]:
    """Return the statements about what followers keep in a schema."""
    return follower_statements(address.quoted_schema, lock_rows="FOR UPDATE", skip_locked="FOR UPDATE SKIP LOCKED")


class Session:
    """A `twofold.views.store.TableSession` on one connection, whose answers are awaited."""

    def __init__(self, connection: Connection, address: Address, statements: dict[str, str]) -> None:
        self._connection = connection
        self._address = address
        self._sql = statements

    async def fetch(self, statement: str, values: Sequence[Any]) -> list[Any]:
        return await self._connection.fetch(self._sql[statement], *values)

    async def execute(self, statement: str, values: Sequence[Any], table: str) -> int:
        text = self._sql[statement].format(table=table) if table else self._sql[statement]
        status = await self._connection.execute(text, *values)
        # Such as "UPDATE 1"; "DROP TABLE" has no number.
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def execute_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        await self._connection.executemany(self._sql[statement], rows)

    async def now(self) -> datetime:
        now: datetime = await self._connection.fetchval(_SQL["now"])
        return now

    async def lock(self, name: str) -> None:
        await self._connection.execute(_SQL["lock"], f"twofold {self._address.schema} {name}")

    async def ended(self, owners: Collection[str]) -> set[str]:
        """Return none: owners may run on any machine."""
        return set()

    async def columns(self, layout: Layout) -> tuple[list[str], list[str]]:
        found = await self._connection.fetch(_SQL["columns"], self._address.schema, layout.table)
        return [column for (column,) in found], described(layout, _COLUMN_TYPES)

    async def create(self, layout: Layout, table: str, word: str) -> None:
        for statement in definitions(layout, _DIALECT, self._address.schema, table, word):
            await self._connection.execute(statement)

    async def has_index(self, name: str) -> bool:
        return bool(await self._connection.fetchval(_SQL["index"], self._named(name)))

    async def replace(self, layout: Layout, table: str) -> None:
        rights = await self._connection.fetch(_SQL["rights"], self._named(layout.table), self._address.schema, table)
        for (statement,) in rights:
            await self._connection.execute(statement)
        await self.execute("drop_table", (), layout.table)
        await self._rename("TABLE", table, layout.table)
        key_index = await self._connection.fetchval(_SQL["key_index"], self._named(layout.table))
        await self._rename("INDEX", key_index, fitted(layout.table, "_pkey"))
        for column in [each.name for each in layout.columns if each.indexed]:
            by = index_name(layout.table, "by", column)
            await self._rename("INDEX IF EXISTS", index_name(layout.table, "on", column), by)

    async def _rename(self, what: str, old: str, new: str) -> None:
        await self._connection.execute(_SQL["rename"].format(what=what, old=self._named(old), new=quoted(new)))

    def _named(self, name: str) -> str:
        return f"{self._address.quoted_schema}.{quoted(name)}"
