"""A follower that is killed at any moment has done each event once in the end."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

from sqlalchemy import select

from tests.followers.following_process import Meter, Read, Sum, meters
from tests.support.waiting import until
from twofold.adapters.sqlite import SqliteStore
from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import SystemClock
from twofold.followers import checkpoints, parking
from twofold.log import Log, NewEvent
from twofold.messages import encode, tagger
from twofold.testing import running
from twofold.views.tables import table_of

CLOCK = SystemClock()
EVENTS = 6000
ROUNDS = 4
METERS = 7
ROOT = Path(__file__).parents[2]


@contextmanager
def follower(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the follower as a process of its own, and kill it."""
    process = subprocess.Popen([sys.executable, "-m", "tests.followers.following_process", str(folder)], cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def append(log: Log, numbers: range) -> None:
    for first in numbers[::20]:
        reads = [Read(meter=f"m{number % METERS}", number=number) for number in range(first, first + 20)]
        await log.append([NewEvent(CLOCK.new_id(), "Read", 1, tagger(Read)(each), encode(each)) for each in reads])


async def is_past(views: SqliteViews, position: int) -> bool:
    return (
        min(await checkpoints.position(views, "meter_v1"), await checkpoints.position(views, "summing_v1")) >= position
    )


def test_each_event_counts_once_however_often_the_follower_is_killed(tmp_path: Path) -> None:
    """Killed with -9 at four moments between and within batches, started again each time: effect and place go together."""
    seed = Random(7)

    async def scenario() -> None:
        log = await Log.open(SqliteStore(str(tmp_path / "meters.db")), CLOCK)
        views = SqliteViews(str(tmp_path / "meters-views.db"), CLOCK)
        await views.open()
        for round_ in range(ROUNDS):
            numbers = range(round_ * EVENTS // ROUNDS + 1, (round_ + 1) * EVENTS // ROUNDS + 1)
            with follower(tmp_path):
                appending = asyncio.create_task(append(log, numbers))
                # It is killed in the middle of what comes in, at whatever it is doing when it is past some place.
                await until(partial(is_past, views, seed.choice(numbers)))
            await appending
        async with running(meters, tmp_path) as started:
            for name in ("meter_v1", "summing_v1"):
                await started._positions.reach(name, EVENTS, 30)
            rows = await started.views.select(select(table_of(Meter)).order_by(Meter.c.key))
            found = [Meter(**row._mapping) for row in rows]
            expected = {
                f"m{n}": [number for number in range(1, EVENTS + 1) if number % METERS == n] for n in range(METERS)
            }
            assert found == [Meter(key=key, count=len(each), last=each[-1]) for key, each in expected.items()]
            (total,) = await started.views.select(select(table_of(Sum)))
            assert Sum(**total._mapping) == Sum(key="all", count=EVENTS, total=EVENTS * (EVENTS + 1) // 2)
            assert await parking.parked(started.views) == []
        await views.close()
        await log.close()

    asyncio.run(scenario())
