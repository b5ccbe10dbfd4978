"""What SQLite refuses for good, and what is away for now, are told apart by its result codes."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, literal, select, text

from twofold.adapters.sqlite.database import Connection, transaction
from twofold.adapters.sqlite.failures import is_refused
from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import SystemClock
from twofold.errors import LogError, LogUnavailable, ValueRefused

REFUSED: dict[str, tuple[Any, ...]] = {
    "INSERT INTO t VALUES (?, '')": (1 << 64,),
    "INSERT INTO t VALUES (1, ?)": ("\ud800",),
    "INSERT INTO t VALUES ('x', ?)": ("",),
    "INSERT INTO t VALUES (2, ?)": (None,),
    "INSERT INTO t VALUES (3, ?)": (object(),),
    "SELECT zeroblob(1 << 40)": (),
    "SELECT no_such_function()": (),
    "SELECT no sense FROM": (),
    f"SELECT 1 WHERE 1 IN ({','.join('?' * 300_000)})": (0,) * 300_000,
}


def run(path: Path, work: Callable[[sqlite3.Connection], Any]) -> Any:
    async def scenario() -> Any:
        connection = Connection(str(path), durable=True)
        try:
            await connection.run(
                lambda each: each.execute(
                    "CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY, b TEXT NOT NULL)"
                ).close()
            )
            return await connection.run(work)
        finally:
            await connection.close()

    return asyncio.run(scenario())


@pytest.mark.parametrize("statement", REFUSED)
def test_a_value_or_a_statement_that_is_wrong_is_refused(tmp_path: Path, statement: str) -> None:
    """Trying again would not help, so nobody waits: not even those who come with other values."""
    with pytest.raises(ValueRefused, match=r"log\.db: .* again, it would be refused again"):
        run(tmp_path / "log.db", lambda connection: connection.execute(statement, REFUSED[statement]))
    assert run(tmp_path / "log.db", lambda connection: connection.execute("SELECT * FROM t").fetchall()) == []


def test_a_refused_row_takes_back_its_transaction(tmp_path: Path) -> None:
    """What the text says, that nothing was stored, is so."""

    def work(connection: sqlite3.Connection) -> None:
        with transaction(connection):
            connection.execute("INSERT INTO t VALUES (1, 'one')")
            connection.execute("INSERT INTO t VALUES (1, 'another')")

    with pytest.raises(ValueRefused, match="UNIQUE constraint failed"):
        run(tmp_path / "log.db", work)
    assert run(tmp_path / "log.db", lambda connection: connection.execute("SELECT * FROM t").fetchall()) == []


def test_a_table_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    """It is the operator's to make or to restore, and no fault of any value."""
    with pytest.raises(LogUnavailable, match=r"no such table: u.* Make the table"):
        run(tmp_path / "log.db", lambda connection: connection.execute("SELECT * FROM u"))


AWAY = "BUSY LOCKED IOERR FULL READONLY CANTOPEN NOTADB CORRUPT PROTOCOL NOMEM INTERRUPT PERM BUSY_SNAPSHOT IOERR_FSYNC"


@pytest.mark.parametrize("name", AWAY.split())
def test_what_is_about_the_file_is_away_and_not_refused(name: str) -> None:
    """All kinds of a class are like it: the lowest byte of a code is the class."""
    error = sqlite3.OperationalError("as SQLite says")
    error.sqlite_errorcode = getattr(sqlite3, f"SQLITE_{name}")
    assert not is_refused(error)


@pytest.mark.parametrize(
    "statement",
    [
        select(literal(1 << 64)),
        select(literal("\ud800")),
        select(func.no_such_function()),
        text("SELECT no sense FROM"),
        text("SELECT :missing"),
    ],
    ids=str,
)
def test_a_query_that_is_wrong_is_refused(tmp_path: Path, statement: Any) -> None:
    """Behind SQLAlchemy it is the same: whoever asked is at fault, and the database is not away."""
    assert isinstance(asyncio.run(failure_of_select(tmp_path, statement)), ValueRefused)


def test_a_query_of_a_table_that_is_not_there_is_not_refused(tmp_path: Path) -> None:
    """As where the store asks itself."""
    assert isinstance(asyncio.run(failure_of_select(tmp_path, text("SELECT * FROM u"))), LogUnavailable)


async def failure_of_select(folder: Path, statement: Any) -> LogError:
    views = SqliteViews(str(folder / "views.db"), SystemClock())
    await views.open()
    try:
        with pytest.raises(LogError) as caught:
            await views.select(statement)
        assert len(await views.select(select(literal(1)))) == 1
        return caught.value
    finally:
        await views.close()
