"""A follower in several segments: order by key, exact counts, whoever splits, merges, comes and is killed."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import select

from tests.followers.following_process import Meter, Read, meters
from tests.followers.test_follower_killed import CLOCK, follower
from tests.support.waiting import until
from twofold.adapters.sqlite import SqliteStore
from twofold.adapters.sqlite.views import SqliteViews
from twofold.followers import WHOLE, checkpoints, claiming, parking
from twofold.log import Log, NewEvent
from twofold.messages import encode, tagger
from twofold.service import Running
from twofold.testing import running

METERS = 60
EVENTS = 9000


async def append(log: Log, first: int, last: int) -> None:
    for start in range(first, last + 1, 50):
        reads = [Read(meter=f"m{n % METERS}", number=n) for n in range(start, min(start + 50, last + 1))]
        await log.append([NewEvent(CLOCK.new_id(), "Read", 1, tagger(Read)(each), encode(each)) for each in reads])


def expected(last: int) -> list[Meter]:
    numbers = {f"m{m}": range(m or METERS, last + 1, METERS) for m in range(METERS)}
    return [Meter(key=key, count=len(each), last=each[-1]) for key, each in sorted(numbers.items())]


async def rows(views: SqliteViews) -> list[Meter]:
    found = await views.select(select(Meter.c.key.table).order_by(Meter.c.key))
    return [Meter(**row._mapping) for row in found]


@asynccontextmanager
async def databases(folder: Path) -> AsyncIterator[tuple[Log, SqliteViews]]:
    log = await Log.open(SqliteStore(str(folder / "meters.db")), CLOCK)
    views = SqliteViews(str(folder / "meters-views.db"), CLOCK)
    await views.open()
    try:
        yield log, views
    finally:
        await views.close()
        await log.close()


async def is_at(views: SqliteViews, position: int) -> bool:
    return await checkpoints.position(views, "meter_v1") >= position


async def owners(views: SqliteViews) -> list[str]:
    return [each.owner for each in await checkpoints.progress(views) if each.follower == "meter_v1"]


async def are_owned(views: SqliteViews, segments: int, by: int) -> bool:
    found = await owners(views)
    return len(found) == segments and all(found) and len(set(found)) == by


def test_segments_are_split_shared_and_merged_while_events_arrive_and_processes_are_killed(tmp_path: Path) -> None:
    """Each event counts once and in the order of its key, whichever process had the key at the time."""
    seed = Random(3)

    async def scenario() -> None:
        async with databases(tmp_path) as (log, views):
            for n in range(3):
                first, last = n * EVENTS // 3 + 1, (n + 1) * EVENTS // 3
                with follower(tmp_path), follower(tmp_path) as killed, follower(tmp_path):
                    appending = asyncio.create_task(append(log, first, last))
                    await until(partial(is_at, views, seed.randrange(first, first + 1000)))
                    await claiming.split(views, "meter_v1", 4)
                    await until(partial(is_at, views, seed.randrange(first + 1000, first + 2000)))
                    killed.kill()
                    await until(partial(is_at, views, seed.randrange(first + 2000, last)))
                    await claiming.merge(views, "meter_v1")
                    await appending
                    await until(partial(is_at, views, last), 60)
                    await until(partial(are_owned, views, 1, 1))
            assert await rows(views) == expected(EVENTS)
            assert await parking.parked(views) == []

    asyncio.run(scenario())


def test_who_comes_takes_load_off_the_others_and_who_goes_leaves_it_to_them(tmp_path: Path) -> None:
    """Four segments: of one process, of two with two each, of three, and of one again."""

    async def scenario() -> None:
        async with databases(tmp_path) as (log, views), AsyncExitStack() as others, running(meters, tmp_path):
            await append(log, 1, 100)
            await until(partial(is_at, views, 100))
            await claiming.split(views, "meter_v1", 4)
            await until(partial(are_owned, views, 4, 1))
            for processes in (2, 3):
                await others.enter_async_context(running(meters, tmp_path))
                await until(partial(are_owned, views, 4, processes))
            await others.aclose()
            await until(partial(are_owned, views, 4, 1))
            await append(log, 101, 200)
            await until(partial(is_at, views, 200))
        async with databases(tmp_path) as (_, views):
            assert await rows(views) == expected(200)

    asyncio.run(scenario())


def test_a_receipt_is_waited_for_in_all_segments(tmp_path: Path) -> None:
    """The view is where its last segment is, in the process that has all of them and in one that has some."""

    async def scenario() -> None:
        async with running(meters, tmp_path) as one:
            await append(one.log, 1, 60)
            await one._positions.reach("meter_v1", 60, 30)
            await claiming.split(one.views, "meter_v1", 3)
            for turn in range(2, 20):
                await append(one.log, 60 * (turn - 1) + 1, 60 * turn)
                await _reached(one, turn)
            async with running(meters, tmp_path) as other:
                for turn in range(20, 40):
                    await append(one.log, 60 * (turn - 1) + 1, 60 * turn)
                    await asyncio.gather(_reached(one, turn), _reached(other, turn))

    asyncio.run(scenario())


async def _reached(started: Running, turn: int) -> None:
    await started._positions.reach("meter_v1", 60 * turn, 30)
    found: Any = started.views
    assert await rows(found) == expected(60 * turn)


def test_what_names_no_key_is_parked_for_the_keys_of_each_segment(tmp_path: Path) -> None:
    """An event that nobody could read may be for any of them; mended and retried, it counts once."""
    unreadable = NewEvent("odd", "Read", 1, (), b'{"meter": "m7", "number": "eight"}')

    async def scenario() -> None:
        async with running(meters, tmp_path) as started:
            await append(started.log, 1, 60)
            await started._positions.reach("meter_v1", 60, 30)
            await claiming.split(started.views, "meter_v1", 2)
            await started.log.append([unreadable])
            await started._positions.reach("meter_v1", 61, 30)
            parked = [each.key for each in await parking.parked(started.views, "meter_v1")]
            assert parked == [f"[0x0, {WHOLE // 2:#x})", f"[{WHOLE // 2:#x}, {WHOLE:#x})"]
            _mend(tmp_path)
            await parking.request_retry(started.views, "meter_v1", parked)
            await until(partial(_nothing_parked, started))
            found: Any = started.views
            (mended,) = [row for row in await rows(found) if row.key == "m7"]
            assert (mended.count, mended.last) == (2, 8)

    asyncio.run(scenario())


def _mend(folder: Path) -> None:
    connection = sqlite3.connect(folder / "meters.db")
    with connection:
        connection.execute("UPDATE events SET data = ? WHERE position = 61", (b'{"meter": "m7", "number": 8}',))
    connection.close()


async def _nothing_parked(started: Running) -> bool:
    return not await parking.parked(started.views, "meter_v1")
