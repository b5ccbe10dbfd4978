"""A service that counts, and what must hold while its views are rebuilt under load, in whatever database they are."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Annotated, Self

from tests.support.waiting import until
from twofold import (
    Aggregate,
    Command,
    Event,
    Query,
    Service,
    Tag,
    View,
    Views,
    answer,
    decide,
    evolve,
    project,
    replace,
)
from twofold.clock import SystemClock
from twofold.followers import checkpoints, claiming, parking
from twofold.followers.shadow import shadow_follower
from twofold.log import ALL, Log, NewEvent
from twofold.messages import encode, tagger
from twofold.operations.databases import Databases, opened
from twofold.service import Running, Settings
from twofold.views import Transaction, ViewStore

TallyId = Annotated[str, Tag("tally")]

KEYS = [f"t{number}" for number in range(8)]
BEFORE = 8_000
PER_SECOND = 500
AT_ONCE = 32
CLOCK = SystemClock()


class Add(Command):
    tally: TallyId


class Added(Event):
    tally: TallyId
    number: int


class Counter(Aggregate, key=TallyId):
    number: int = 0

    @decide
    def add(self, command: Add) -> Iterator[Added]:
        yield Added(tally=command.tally, number=self.number + 1)

    @evolve
    def added(self, event: Added) -> Self:
        return replace(self, number=event.number)


class Tally(View, key=TallyId):
    """One that came twice, not at all or out of order would show."""

    count: int = 0
    disordered: int = 0

    @evolve
    def added(self, event: Added) -> Self:
        return replace(self, count=self.count + 1, disordered=self.disordered + (event.number != self.count + 1))


class Sum(View, key=Annotated[str, Tag("sum")]):
    count: int = 0


@project(Sum)
async def summed(event: Added, rows: Transaction) -> None:
    row = await rows.get(Sum, "all")
    rows.put(replace(row, count=row.count + 1))


class AllTallies(Query[dict[str, tuple[int, int]]]):
    pass


class OneTally(Query[int]):
    tally: str


class Total(Query[int]):
    pass


@answer
async def all_tallies(query: AllTallies, views: Views) -> dict[str, tuple[int, int]]:
    return {row.key: (row.count, row.disordered) for row in await views.find(Tally)}


@answer
async def one_tally(query: OneTally, views: Views) -> int:
    row = await views.get(Tally, query.tally)
    return 0 if row is None else row.count


@answer
async def total(query: Total, views: Views) -> int:
    row = await views.get(Sum, "all")
    return 0 if row is None else row.count


tallies = Service(
    "tallies", aggregates=[Counter], views=[Tally], projections=[summed], queries=[all_tallies, one_tally, total]
)


async def rebuilt_under_load(settings: Settings) -> None:
    """Rebuild both views, one of them in segments, in two instances, while commands arrive and are asked about."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(tallies.run(settings))
        await _append(one.log, BEFORE)
        other = await stack.enter_async_context(tallies.run(settings))
        await _until_caught_up(one, BEFORE)
        await claiming.split(one.views, "tally_v1", 3)
        ended = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(_send(one, other, ended))
            group.create_task(_watch(one, other, ended))
            for running, first, second in ((one, "tally_v1", "summed_v1"), (other, "summed_v1", "tally_v1")):
                await asyncio.gather(running.rebuild(first), running.rebuild(second))
            ended.set()
        sent = sending.result()
        await _until_caught_up(other, BEFORE + sent)
        assert await one.ask(AllTallies()) == await _folded(one.log)
        assert await one.ask(Total()) == BEFORE + sent
        assert await parking.parked(one.views) == []


async def _append(log: Log, events: int) -> None:
    tags = tagger(Added)
    for first in range(0, events, len(KEYS) * 50):
        some = [
            Added(tally=KEYS[n % len(KEYS)], number=n // len(KEYS) + 1) for n in range(first, first + len(KEYS) * 50)
        ]
        await log.append([NewEvent(CLOCK.new_id(), "Added", 1, tags(each), encode(each)) for each in some])


async def _until_caught_up(running: Running, position: int) -> None:
    for follower in running.declaration.followers:
        await running._positions.reach(follower, position, 60)


async def _send(one: Running, other: Running, ended: asyncio.Event) -> int:
    """Send commands at a steady rate, and return how many; after each one, ask in another process what it has changed."""
    sent = 0
    began = CLOCK.monotonic()
    room = asyncio.Semaphore(AT_ONCE)
    async with asyncio.TaskGroup() as group:
        while not ended.is_set():
            for _ in range(PER_SECOND // 50):
                await room.acquire()
                adding = group.create_task(_add(KEYS[sent % len(KEYS)], *((one, other) if sent % 2 else (other, one))))
                adding.add_done_callback(lambda _: room.release())
                sent += 1
            await asyncio.sleep(max(0.0, began + sent / PER_SECOND - CLOCK.monotonic()))
    return sent


async def _add(tally: str, here: Running, there: Running) -> None:
    before = await there.ask(OneTally(tally=tally))
    receipt = await here.send(Add(tally=tally))
    assert await there.ask(OneTally(tally=tally), after=receipt, timeout_seconds=60) > before


async def _watch(one: Running, other: Running, ended: asyncio.Event) -> None:
    """Ask in turns, in both processes: nothing is ever less than it was."""
    seen, seen_total = dict.fromkeys(KEYS, (0, 0)), 0
    while not ended.is_set():
        for running in (one, other):
            found, found_total = await running.ask(AllTallies()), await running.ask(Total())
            assert found.keys() >= seen.keys()
            assert all(found[key][0] >= seen[key][0] for key in seen)
            assert found_total >= seen_total
            seen, seen_total = found, found_total


async def _folded(log: Log) -> dict[str, tuple[int, int]]:
    """Count what the log has, by none of the means of a view."""
    counts: dict[str, int] = {}
    position, head = 0, await log.head()
    while position < head:
        for event in await log.read(ALL, position):
            ((_, tally),) = [tag.split(":") for tag in event.tags]
            counts[tally] = counts.get(tally, 0) + 1
            position = event.position
    return {tally: (count, 0) for tally, count in counts.items()}


async def killed_while_rebuilding(settings: Settings, kills: int) -> None:
    """Have processes rebuild both views, kill each at another moment, and let a last one come to the end."""
    seed = Random(11)
    async with tallies.run(settings) as running:
        await _append(running.log, BEFORE)
        await _until_caught_up(running, BEFORE)
    async with opened(tallies.declaration, settings, to_mend=True) as databases:
        shadows = [shadow_follower(name) for name in tallies.declaration.followers]
        in_the_middle = 0
        while in_the_middle < kills:
            place = seed.randrange(BEFORE // 2)
            with rebuilding_process(settings):
                await until(partial(_is_past, databases, shadows, place))
            left = [each for each in await checkpoints.progress(databases.views) if each.follower in shadows]
            in_the_middle += any(each.position < BEFORE for each in left)
            # Nobody is there now, and what there is answers with all that it knew.
            assert await _rows(databases.views) == (await _folded(databases.log), BEFORE)
        async with tallies.run(settings) as running:
            for follower in tallies.declaration.followers:
                await running.rebuild(follower)
            assert await running.ask(AllTallies()) == await _folded(running.log)
            assert await running.ask(Total()) == BEFORE
            assert {each.follower for each in await running.progress()} == {*tallies.declaration.followers}


async def _is_past(databases: Databases, shadows: list[str], place: int) -> bool:
    return any(
        each.follower in shadows and each.position >= place for each in await checkpoints.progress(databases.views)
    )


@contextmanager
def rebuilding_process(settings: Settings) -> Iterator[None]:
    """Run a process that rebuilds the views again and again, and kill it."""
    command = [sys.executable, "-m", "tests.support.rebuilding_process", str(settings.log), str(settings.views)]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2])
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def _rows(store: ViewStore) -> tuple[dict[str, tuple[int, int]], int]:
    views = Views(store)
    return await all_tallies(AllTallies(), views), await total(Total(), views)
