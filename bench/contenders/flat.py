"""The log when it is small and when it is large: the same appends, to accounts all over it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from bench.clients import as_tasks
from bench.contenders.log import Accounts, opened
from bench.model import Contender, Home, Place, Prepare, Sample, Trial, Turns

SMALL = 100_000
LARGE = 5_000_000
_CLIENTS = range(64)
_EVENTS_PER_ACCOUNT = 5
_EVENTS_PER_STATEMENT = 100_000
_WARM_UP_SECONDS = 10.0

# The rows that appends of the events of `bank.history` leave behind, whose accounts come in no order: an index of tags
# that grew this way has the shape that it has in real life, with pages as full.
_FILL = """
WITH filled AS (
    INSERT INTO twofold.log_events (position, id, type, version, tags, data, metadata, recorded_at)
    SELECT position, '01900000-0000-7000-8000-' || lpad(to_hex(position), 12, '0'), 'Deposited', 1,
        convert_to(format('["account:account-%s"]', account), 'UTF8'),
        convert_to(format('{{"account":"account-%s","amount":%s,"currency":"GBP","reference":"order %s"}}',
            account, 1 + position % 500, lpad(position::text, 12, '0')), 'UTF8'),
        '{{}}', 1700000000000000 + position
    FROM generate_series({first}::bigint, {last}) AS position,
        LATERAL (SELECT lpad((position * 2654435761 % {accounts})::text, 8, '0')) AS number (account)
    RETURNING position, tags
)
INSERT INTO twofold.log_tags (tag, position, type)
SELECT convert_from(tags, 'UTF8')::json ->> 0, position, 'Deposited' FROM filled
"""


def contenders(home: Home, large: int) -> tuple[Contender, ...]:
    """Return the large log, and the small one with which it is compared."""
    remarks = (
        "64 callers append on condition, each to an account of its own at random. The large log is filled once and goes on "
        "growing from round to round; the small one is filled anew for each. Both were filled by INSERT in the order of "
        "positions, and had their VACUUM and ANALYZE, which a log that grows for weeks gets from autovacuum. The large one is "
        "written down by a checkpoint, and then appended to for some seconds before the first round: after a checkpoint "
        "each page goes to the WAL whole when it is first changed, which is soon over."
    )
    return (
        Contender("the large log", home.durability, remarks, {"flat": _once(large)}),
        Contender("the small log", home.durability, trials={"flat": _each_time(SMALL)}),
    )


def _once(events: int) -> Prepare:
    @contextmanager
    def prepare(home: Home, most: int) -> Iterator[Trial]:
        with home.place() as place:
            note = asyncio.run(_fill(place, events))
            asyncio.run(_write_down(place))
            asyncio.run(_append(place, events, note, Turns(most, _WARM_UP_SECONDS)))
            yield lambda turns: asyncio.run(_append(place, events, note, turns))

    return prepare


def _each_time(events: int) -> Prepare:
    @contextmanager
    def prepare(home: Home, most: int) -> Iterator[Trial]:
        def trial(turns: Turns) -> Sample:
            with home.place() as place:
                note = asyncio.run(_fill(place, events))
                return asyncio.run(_append(place, events, note, turns))

        yield trial

    return prepare


async def _fill(place: Place, events: int) -> str:
    """Fill a log, and say what that took."""
    began = time.perf_counter()
    async with opened(place.log):
        pass
    connection = await asyncpg.connect(place.log)
    try:
        for start in range(0, events, _EVENTS_PER_STATEMENT):
            last = min(start + _EVENTS_PER_STATEMENT, events)
            accounts = events // _EVENTS_PER_ACCOUNT
            await connection.execute(_FILL.format(first=start + 1, last=last, accounts=accounts))
        for table in ("log_events", "log_tags"):
            await connection.execute(f"VACUUM (ANALYZE) twofold.{table}")
        size = await connection.fetchval("SELECT pg_database_size(current_database())")
    finally:
        await connection.close()
    return f"filled with {events:,} events in {time.perf_counter() - began:,.0f} s, {size / 1e9:,.2f} GB on disk"


async def _write_down(place: Place) -> None:
    connection = await asyncpg.connect(place.log)
    await connection.execute("CHECKPOINT")
    await connection.close()


async def _append(place: Place, events: int, note: str, turns: Turns) -> Sample:
    stripes = events // _EVENTS_PER_ACCOUNT // len(_CLIENTS)
    async with opened(place.log) as log:
        head = await log.head()
        accounts = Accounts(log, known=head)

        async def deposit(client: int, turn: int) -> None:
            await accounts.deposit(client + len(_CLIENTS) * ((head + turn) * 2654435761 % stripes), turn)

        sample = await as_tasks(turns, _CLIENTS, deposit)
    return Sample(sample.operations, sample.seconds, note)
