"""Views in PostgreSQL that are filled anew beside those that answer, and what becomes of the old ones.

Dropping and renaming a table wants it alone: who asks for that waits for running queries, and later queries wait for who
asks. So it is asked for briefly, and asked again later by whoever called.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import asyncpg
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql as dialects
from sqlalchemy.schema import CreateIndex, CreateTable, DDLElement

from twofold.adapters.postgres.address import Address, quoted
from twofold.adapters.postgres.claims import followers_lock
from twofold.adapters.postgres.database import Connection
from twofold.adapters.statements import load_statements
from twofold.followers import WHOLE
from twofold.views import Layout
from twofold.views.names import index_name
from twofold.views.shadow import HELD, fitted, shadow_follower, shadow_table
from twofold.views.tables import table_for

_SQL = load_statements("twofold.adapters.postgres", "rebuilding.sql")
_PATIENCE = "100ms"


class Rebuilding:
    """The statements of one schema, each method for one call to it."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._sql = {name: statement.replace("{schema}", address.quoted_schema) for name, statement in _SQL.items()}

    async def begin(self, follower: str, layouts: Sequence[Layout], connection: Connection) -> int:
        """Make the shadows and their follower, unless they are there, and return its fence: one that was never given.

        A process that still follows an earlier rebuilding must not come in between. So it is the time, or more.
        """
        shadow = shadow_follower(follower)
        async with connection.transaction():
            await connection.execute(self._sql["lock"], followers_lock(self._address))
            if await connection.fetchval(self._sql["is_begun"], shadow):
                return 0
            for layout in layouts:
                for statement in self._creation(table_for(layout, shadow_table(layout.table), "on")):
                    await connection.execute(statement)
            await connection.execute(self._sql["ensure_follower"], follower, WHOLE)
            fence: int = await connection.fetchval(self._sql["new_fence"], follower)
            await connection.execute(self._sql["begin"], shadow, follower, fence)
            return fence

    def _creation(self, table: Table) -> Iterator[str]:
        elements: list[DDLElement] = [CreateTable(table), *map(CreateIndex, table.indexes)]
        for element in elements:
            compiled = element.compile(
                dialect=dialects.dialect(),  # type: ignore[no-untyped-call]
                schema_translate_map={None: self._address.schema},
                render_schema_translate=True,
            )
            yield str(compiled)

    async def take_over(
        self, follower: str, layouts: Sequence[Layout], hold_seconds: float, connection: Connection
    ) -> bool:
        """Put the shadows in the tables' place if they are not behind; say whether there is none any more."""
        shadow = shadow_follower(follower)
        # Without the locks first: that is asked again and again, and nearly always in vain.
        if not hold_seconds and await connection.fetchval(self._sql["is_behind"], shadow, follower):
            return False
        try:
            async with connection.transaction():
                await connection.execute(self._sql["be_quick"], _PATIENCE)
                # Nobody divides or stores a batch of either of the two from here on.
                await connection.execute(self._sql["lock"], followers_lock(self._address))
                locked = await connection.fetch(self._sql["lock_segments"], [follower, shadow])
                if shadow not in {row[0] for row in locked}:
                    return True
                if await connection.fetchval(self._sql["is_behind"], shadow, follower):
                    if hold_seconds:
                        await connection.execute(self._sql["hold"], HELD, hold_seconds, follower)
                    return False
                for layout in layouts:
                    await self._replace(layout, connection)
                await self._hand_over(follower, shadow, connection)
                return True
        except asyncpg.LockNotAvailableError:
            return False

    async def _replace(self, layout: Layout, connection: Connection) -> None:
        shadow = shadow_table(layout.table)
        rights = await connection.fetch(self._sql["rights"], self._named(layout.table), self._address.schema, shadow)
        for (statement,) in rights:
            await connection.execute(statement)
        await connection.execute(_SQL["drop_table"].format(table=self._named(layout.table)))
        await connection.execute(_SQL["rename"].format(shadow=self._named(shadow), name=quoted(layout.table)))
        key_index = await connection.fetchval(self._sql["key_index"], self._named(layout.table))
        names = {key_index: fitted(layout.table, "_pkey")}
        indexed = [column.name for column in layout.columns if column.indexed]
        names |= {index_name(layout.table, "on", each): index_name(layout.table, "by", each) for each in indexed}
        for index, name in names.items():
            await connection.execute(_SQL["rename_index"].format(index=self._named(index), name=quoted(name)))

    async def _hand_over(self, follower: str, shadow: str, connection: Connection) -> None:
        fence = await connection.fetchval(self._sql["highest_fence"], [follower, shadow])
        await self._drop_follower(follower, connection)
        await connection.execute(self._sql["hand_over_parked"], follower, shadow)
        await connection.execute(self._sql["hand_over_segments"], follower, fence + 1, shadow)

    async def drop(self, follower: str, tables: Sequence[str], even_if_declared: bool, connection: Connection) -> bool:
        """Drop tables and all that is kept of their follower; say whether that was done."""
        try:
            async with connection.transaction():
                await connection.execute(self._sql["be_quick"], _PATIENCE)
                await connection.execute(self._sql["lock"], followers_lock(self._address))
                await connection.execute(self._sql["lock_segments"], [follower])
                if not even_if_declared and follower in await self.declared(connection):
                    return False
                await self._drop_follower(follower, connection)
                await connection.execute(self._sql["forget_caught_up"], follower)
                for table in tables:
                    await connection.execute(_SQL["drop_table"].format(table=self._named(table)))
                return True
        except asyncpg.LockNotAvailableError:
            return False

    async def _drop_follower(self, follower: str, connection: Connection) -> None:
        await connection.execute(self._sql["drop_segments"], follower)
        await connection.execute(self._sql["drop_parked"], follower)

    async def declared(self, connection: Connection) -> set[str]:
        """Return the followers that a process is there for."""
        return {row[0] for row in await connection.fetch(self._sql["declared"])}

    async def caught_up(self, connection: Connection) -> set[str]:
        """Return the followers that have once been where the log ended."""
        return {row[0] for row in await connection.fetch(self._sql["caught_up"])}

    async def mark_caught_up(self, followers: Sequence[str], connection: Connection) -> None:
        """Take note that followers have been where the log ended."""
        await connection.execute(self._sql["mark_caught_up"], list(followers))

    def _named(self, name: str) -> str:
        return f"{self._address.quoted_schema}.{quoted(name)}"
