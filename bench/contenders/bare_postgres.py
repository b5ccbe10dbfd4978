"""The limits of PostgreSQL: nothing but the inserts, or nothing but reading, decoding, folding and writing rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from importlib.resources import files
from typing import Any

import asyncpg
import msgspec

from bench import bank
from bench.clients import in_processes
from bench.contenders.bare import rows_of
from bench.model import Contender, Home, Place, Prepare, Sample, Trial, Turns, fresh
from twofold import replace

_SCHEMA = files("twofold.adapters.postgres").joinpath("log_0001.sql")
_BALANCE = "CREATE TABLE balance (key text PRIMARY KEY, amount bigint NOT NULL); CREATE TABLE place (position bigint)"
# One statement is one call and one transaction, whose rows come as one array for each column.
_INSERT = """
WITH appended AS (
    INSERT INTO log_events (position, id, type, version, tags, data, metadata, recorded_at)
    SELECT * FROM unnest(
        $1::bigint[], $2::text[], $3::text[], $4::integer[], $5::bytea[], $6::bytea[], $7::bytea[], $8::bigint[]
    )
)
INSERT INTO log_tags (tag, position, type) SELECT * FROM unnest($9::text[], $10::bigint[], $11::text[])
"""
_PUT = """
WITH moved AS (UPDATE place SET position = $3)
INSERT INTO balance (key, amount) SELECT * FROM unnest($1::text[], $2::bigint[])
ON CONFLICT (key) DO UPDATE SET amount = excluded.amount
"""
_ADD = """
WITH moved AS (UPDATE place SET position = $2)
INSERT INTO balance (key, amount) VALUES ($1, 1) ON CONFLICT (key) DO UPDATE SET amount = balance.amount + excluded.amount
"""
_OF_TAG = """
SELECT e.data FROM log_tags AS t JOIN log_events AS e USING (position) WHERE t.tag = $1 ORDER BY position
"""
_PAGE = "SELECT data FROM log_events WHERE position > $1 ORDER BY position LIMIT 2000"

_decode: Callable[[bytes], bank.Deposited] = msgspec.json.Decoder(bank.Deposited).decode


def contender(home: Home) -> Contender:
    """Return what a program would do that does nothing else."""
    trials = {
        "sequence": _inserts(per_commit=1),
        "clients64": _inserts(per_commit=64),
        "clients1024": _inserts(per_commit=1024),
        "processes2": fresh(_inserts_in_processes),
        "hot": _inserts(per_commit=16),
        "batches": _inserts(per_commit=100),
        "visible": fresh(_insert_update_select),
        "loading": _loading,
        "catchup": _catching_up,
    }
    remarks = (
        "Inserts rows that are ready into the log's tables, one statement and commit for as many as there are clients, on "
        "one connection for each process; nothing is checked. Reading, it decodes and folds pages of 2,000, and writes their "
        "rows and its place in one statement."
    )
    return Contender("bare asyncpg", home.durability, remarks, trials)


@asynccontextmanager
async def _connected(place: Place) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Connect to the place, with the log's tables in it, and those of a view."""
    connection = await asyncpg.connect(place.log)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(1)")
            if not await connection.fetchval("SELECT to_regclass('log_events') IS NOT NULL"):
                await connection.execute(_SCHEMA.read_text(encoding="utf-8") + _BALANCE)
                await connection.execute("INSERT INTO place VALUES (0)")
        yield connection
    finally:
        await connection.close()


def _columns(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _inserts(per_commit: int) -> Prepare:
    return fresh(lambda place, turns: _insert(place, per_commit, range(turns.most), turns))


def _inserts_in_processes(place: Place, turns: Turns) -> Sample:
    half = turns.most // 2
    shares = [range(half), range(half, 2 * half)]
    return in_processes(turns, [partial(_insert, place, 512, positions) for positions in shares])


def _insert(place: Place, per_commit: int, positions: range, turns: Turns) -> Sample:
    """Insert at these positions, so many for each commit."""
    rows, tags = rows_of(positions.stop, accounts=per_commit)
    commits = []
    for start in positions[::per_commit]:
        some = slice(start, start + per_commit)
        commits.append(_columns(rows[some]) + _columns(tags[some]))

    async def scenario() -> Sample:
        async with _connected(place) as connection:
            insert = await connection.prepare(_INSERT)
            inserts = Turns(len(commits) - 1, turns.seconds)
            turns.begin()
            inserts.begin()
            for number in inserts:
                await insert.fetch(*commits[number])
            return inserts.end(per_commit)

    return asyncio.run(scenario())


def _insert_update_select(place: Place, turns: Turns) -> Sample:
    rows, tags = rows_of(turns.most, accounts=bank.ACCOUNTS)

    async def scenario() -> Sample:
        async with _connected(place) as connection:
            insert, add = await connection.prepare(_INSERT), await connection.prepare(_ADD)
            select = await connection.prepare("SELECT amount FROM balance WHERE key = $1")
            turns.begin()
            for turn in turns:
                await insert.fetch(*_columns([rows[turn]]), *_columns([tags[turn]]))
                await add.fetch(tags[turn][0], turn)
                await select.fetchval(tags[turn][0])
            return turns.end()

    return asyncio.run(scenario())


async def _record(place: Place, events: int, accounts: int) -> None:
    rows, tags = rows_of(events, accounts)
    async with _connected(place) as connection:
        await connection.execute(_INSERT, *_columns(rows), *_columns(tags))


@contextmanager
def _loading(home: Home, most: int) -> Iterator[Trial]:
    with home.place() as place:
        asyncio.run(_record(place, bank.LONG, accounts=1))
        yield lambda turns: _load(place, turns)


def _load(place: Place, turns: Turns) -> Sample:
    async def scenario() -> Sample:
        async with _connected(place) as connection:
            select = await connection.prepare(_OF_TAG)
            turns.begin()
            for _ in turns:
                state = bank.Account(key=bank.account_name(0))
                for (data,) in await select.fetch(f"account:{state.key}"):
                    state = replace(state, balance=state.balance + _decode(data).amount)
            return turns.end()

    return asyncio.run(scenario())


@contextmanager
def _catching_up(home: Home, most: int) -> Iterator[Trial]:
    with home.place() as place:
        asyncio.run(_record(place, most, bank.ACCOUNTS))
        yield lambda turns: _catch_up(place, turns)


def _catch_up(place: Place, turns: Turns) -> Sample:
    async def scenario() -> Sample:
        async with _connected(place) as connection:
            await connection.execute("TRUNCATE balance")
            select, put = await connection.prepare(_PAGE), await connection.prepare(_PUT)
            amounts: dict[str, int] = {}
            position = 0
            turns.begin()
            while position < turns.most:
                changed: set[str] = set()
                for (data,) in await select.fetch(position):
                    event = _decode(data)
                    amounts[event.account] = amounts.get(event.account, 0) + event.amount
                    changed.add(event.account)
                    position += 1
                await put.fetch(list(changed), [amounts[each] for each in changed], position)
            return turns.sample(position)

    return asyncio.run(scenario())
