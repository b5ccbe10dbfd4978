"""Waiting for the server to be where a test wants it."""

import asyncio
from typing import Any


async def until_waiting(connection: Any, number: int) -> None:
    """Return when so many calls wait for the log's lock."""
    statement = "SELECT count(*) FROM pg_locks WHERE relation = 'twofold.log_appending'::regclass AND NOT granted"
    while await connection.fetchval(statement) != number:
        await asyncio.sleep(0.01)


async def end_calls(connection: Any) -> None:
    """Terminate Twofold's connections to this database until there is none."""
    statement = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'twofold%'
    """
    while await connection.fetchval(statement):
        await asyncio.sleep(0.01)
