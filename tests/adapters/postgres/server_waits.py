"""Waiting for the server to be where a test wants it."""

import asyncio
from typing import Any


async def until_waiting(connection: Any, number: int, table: str = "twofold.log_appending") -> None:
    """Return when so many calls wait for a lock of a table, by default for that of the log."""
    statement = "SELECT count(*) FROM pg_locks WHERE relation = $1::text::regclass AND NOT granted"
    while await connection.fetchval(statement, table) != number:
        await asyncio.sleep(0.01)
