"""Waiting for the server to be where a test wants it."""

import asyncio
from typing import Any


async def until_waiting(connection: Any, number: int) -> None:
    """Return when so many calls wait for the log's lock."""
    statement = "SELECT count(*) FROM pg_locks WHERE relation = 'twofold.log_appending'::regclass AND NOT granted"
    while await connection.fetchval(statement) != number:
        await asyncio.sleep(0.01)
