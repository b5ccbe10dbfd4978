"""The limits of the machine: nothing but the inserts, with the log's tables and durability; nothing but decode and fold."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from bench import bank
from bench.model import Contender, Home, Place, Prepare, Sample, Trial, Turns, fresh
from twofold import replace
from twofold.messages import Metadata, encode, tagger

EventRow: TypeAlias = tuple[Any, ...]
TagRow: TypeAlias = tuple[str, int, str]

# Without OR ROLLBACK, SQLite copies the pages that a statement of several rows changes, in order to take back just that.
_INSERT_EVENTS = (
    "INSERT OR ROLLBACK INTO events (position, id, type, version, tags, data, metadata, recorded_at) VALUES "
)
_INSERT_TAGS = "INSERT OR ROLLBACK INTO tags (tag, position, type) VALUES "
_ROWS_PER_STATEMENT = 64
_SCHEMA = files("twofold.adapters.sqlite").joinpath("log_0001.sql")
_COMMAND = "01900000-0000-7000-8000-000000000000"
_METADATA = encode(Metadata().caused(_COMMAND, _COMMAND))


def inserts(home: Home) -> Contender:
    """Return bare inserts: rows that are ready, so many per commit."""
    return Contender(
        "bare sqlite3",
        home.durability,
        "Inserts rows that are ready into the log's tables, one commit for as many as there are clients. Nothing is checked, "
        "no thread is changed.",
        {
            "sequence": _inserts(per_commit=1),
            "clients64": _inserts(per_commit=64),
            "clients1024": _inserts(per_commit=1024),
            "hot": _inserts(per_commit=16),
            "batches": _inserts(per_commit=100),
            "visible": fresh(_insert_update_select),
        },
    )


def folding() -> Contender:
    """Return bare decoding and folding of bytes that are in memory."""
    remarks = "Decodes events that are in memory and folds them into states that stay there."
    return Contender("bare msgspec", "memory", remarks, {"loading": _load, "catchup": _catch_up})


def _connect(path: Path, synchronous: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA cache_size = -65536")
    return connection


def _log(path: Path) -> sqlite3.Connection:
    connection = _connect(path, "FULL")
    connection.executescript(_SCHEMA.read_text(encoding="utf-8"))
    return connection


def rows_of(events: int, accounts: int) -> tuple[list[EventRow], list[TagRow]]:
    """Return the rows of the log's two tables for deposits that go round the accounts."""
    rows: list[EventRow] = []
    tags: list[TagRow] = []
    for position, event in enumerate(bank.history(events, accounts), 1):
        named = tagger(bank.Deposited)(event)
        id_ = f"01900000-0000-7000-8000-{position:012x}"
        rows.append((position, id_, "Deposited", 1, encode(named), encode(event), _METADATA, position))
        tags.append((named[0], position, "Deposited"))
    return rows, tags


def _inserts(per_commit: int) -> Prepare:
    @contextmanager
    def prepare(home: Home, most: int) -> Iterator[Trial]:
        rows, tags = rows_of(most, accounts=64)

        def trial(turns: Turns) -> Sample:
            with home.place() as place, closing(_log(place.folder / "log.db")) as connection:
                commits = Turns(most // per_commit, turns.seconds)
                commits.begin()
                for commit in commits:
                    some = slice(commit * per_commit, (commit + 1) * per_commit)
                    _insert(connection, rows[some], tags[some])
                return commits.end(per_commit)

        yield trial

    return prepare


def _insert(connection: sqlite3.Connection, rows: Sequence[EventRow], tags: Sequence[TagRow]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    _insert_rows(connection, _INSERT_EVENTS, rows)
    _insert_rows(connection, _INSERT_TAGS, tags)
    connection.execute("COMMIT")


def _insert_rows(connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    for start in range(0, len(rows), _ROWS_PER_STATEMENT):
        some = rows[start : start + _ROWS_PER_STATEMENT]
        marks = ", ".join([f"({', '.join('?' * len(some[0]))})"] * len(some))
        connection.execute(statement + marks, list(chain.from_iterable(some)))


def _insert_update_select(place: Place, turns: Turns) -> Sample:
    rows, tags = rows_of(turns.most, accounts=bank.ACCOUNTS)
    with (
        closing(_log(place.folder / "log.db")) as log,
        closing(_connect(place.folder / "views.db", "NORMAL")) as view,
    ):
        view.execute("CREATE TABLE balance (key TEXT PRIMARY KEY, amount INTEGER NOT NULL) WITHOUT ROWID")
        view.execute("CREATE TABLE position (position INTEGER NOT NULL)")
        turns.begin()
        for turn in turns:
            _insert(log, rows[turn : turn + 1], tags[turn : turn + 1])
            _see(view, tags[turn][0], turn)
        return turns.end()


def _see(view: sqlite3.Connection, tag: str, position: int) -> None:
    view.execute("BEGIN IMMEDIATE")
    view.execute(
        "INSERT INTO balance VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET amount = amount + excluded.amount", (tag,)
    )
    view.execute("UPDATE position SET position = ?", (position,))
    view.execute("COMMIT")
    view.execute("SELECT amount FROM balance WHERE key = ?", (tag,)).fetchone()


@contextmanager
def _load(home: Home, most: int) -> Iterator[Trial]:
    stored = [encode(event) for event in bank.history(bank.LONG, accounts=1)]
    decode = msgspec.json.Decoder(bank.Deposited).decode

    def trial(turns: Turns) -> Sample:
        turns.begin()
        for _ in turns:
            state = bank.Account(key=bank.account_name(0))
            for data in stored:
                state = replace(state, balance=state.balance + decode(data).amount)
        return turns.end()

    yield trial


@contextmanager
def _catch_up(home: Home, most: int) -> Iterator[Trial]:
    stored = [encode(event) for event in bank.history(most, bank.ACCOUNTS)]
    decode: Callable[[bytes], bank.Deposited] = msgspec.json.Decoder(bank.Deposited).decode

    def trial(turns: Turns) -> Sample:
        rows: dict[str, bank.Balance] = {}
        turns.begin()
        for turn in turns:
            event = decode(stored[turn])
            row = rows.get(event.account) or bank.Balance(key=event.account)
            rows[event.account] = replace(row, amount=row.amount + event.amount)
        return turns.end()

    yield trial
