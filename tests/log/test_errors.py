"""What the log says when its file is not as it should be."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from twofold.adapters.sqlite import SqliteStore
from twofold.clock import SystemClock
from twofold.errors import LogCorrupted, LogUnavailable, SettingsError
from twofold.limits import SqliteLimits
from twofold.log import Log, LogStore, NewEvent


async def append_and_read(store: LogStore, count: int = 1) -> None:
    try:
        log = await Log.open(store, SystemClock())
        try:
            for _ in range(count):
                await log.append([NewEvent("id", "A", 1, (), b"{}")])
            await log.read()
        finally:
            await log.close()
    finally:
        await store.close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    """The operator learns which file, and SQLite's reason."""
    path = tmp_path / "log.db"
    path.write_bytes(b"this is not a database, whatever its name says" * 100)
    with pytest.raises(LogUnavailable, match=r"log\.db.*not a database"):
        asyncio.run(append_and_read(SqliteStore(str(path))))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The operator learns that the place is wrong, and not just that something could not be opened."""
    (tmp_path / "file").write_text("")
    with pytest.raises(LogUnavailable, match=r"file/log\.db.*folder"):
        asyncio.run(append_and_read(SqliteStore(str(tmp_path / "file" / "log.db"))))


def test_a_gap_in_the_positions_is_found_by_whoever_reads_it(tmp_path: Path) -> None:
    """Rows that somebody deleted by hand are not passed over in silence."""
    path = str(tmp_path / "log.db")
    asyncio.run(append_and_read(SqliteStore(path), count=3))
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM events WHERE position = 2")
    connection.close()
    with pytest.raises(LogCorrupted, match="no event at position 2"):
        asyncio.run(append_and_read(SqliteStore(path)))


def test_a_file_one_version_ahead_is_used_and_one_further_ahead_is_left_alone(tmp_path: Path) -> None:
    """During a rolling deploy old processes still start; after it, too old ones do not guess at what they do not know."""
    path = str(tmp_path / "log.db")
    asyncio.run(append_and_read(SqliteStore(path)))
    connection = sqlite3.connect(path)
    (known,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version = {known + 1}")
    connection.close()
    asyncio.run(append_and_read(SqliteStore(path)))
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(SettingsError, match=r"log\.db.*version 99.*Install the newer version"):
        asyncio.run(append_and_read(SqliteStore(path)))


def test_a_lock_that_is_held_too_long_is_said(tmp_path: Path) -> None:
    """Somebody who keeps a transaction open, in a shell perhaps, is looked for instead of a bug."""
    path = str(tmp_path / "log.db")
    asyncio.run(append_and_read(SqliteStore(path)))
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(LogUnavailable, match="Another process has held the file's lock"):
            asyncio.run(append_and_read(SqliteStore(path, SqliteLimits(busy_seconds=0.05))))
    finally:
        holder.close()


def test_whoever_is_not_the_first_to_open_a_file_waits_for_the_first(tmp_path: Path) -> None:
    """Replicas that start together do not fail because one of them is still making the file."""
    path = tmp_path / "log.db"
    first = sqlite3.connect(path, isolation_level=None)
    first.execute("BEGIN IMMEDIATE")

    async def scenario() -> None:
        opening = asyncio.create_task(append_and_read(SqliteStore(str(path))))
        # Long enough for it to find the lock; if it comes later, there is none, and it opens all the same.
        await asyncio.sleep(0.1)
        first.execute("COMMIT")
        await opening

    try:
        asyncio.run(scenario())
    finally:
        first.close()
