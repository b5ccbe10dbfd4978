"""Users' statements on PostgreSQL: SQLAlchemy, on connections of the same making as all others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from twofold.adapters.postgres.database import Database
from twofold.adapters.postgres.failures import FAULTS, failure_of, is_refused
from twofold.errors import ValueRefused


class Engine:
    """Gives SQLAlchemy's sessions on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pool: AsyncEngine | None = None

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncConnection]:
        """Give SQLAlchemy's side of a connection, for one transaction.

        Raises:
            LogUnavailable: the database cannot be used now.
            ValueRefused: it does not take the values or the statements.
        """
        try:
            engine = await self._connected()
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
                await self.close()
            raise failure_of(self._database.address, error, statements=True) from error
        except StatementError as error:
            # SQLAlchemy itself refused it, before it asked the server.
            raise ValueRefused(f"{self._database.address}: {error}. Again, it would be refused again.") from error

    async def _connected(self) -> AsyncEngine:
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
                execution_options={"schema_translate_map": {None: self._database.address.schema}},
                **(kept if direct else {"poolclass": NullPool}),
            )
        return self._pool

    async def close(self) -> None:
        """Let go of all connections; the next session takes a new one."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.dispose()
