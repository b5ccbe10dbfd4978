"""What it costs the others when an application appends within transactions of its own, which hold the log's lock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

import asyncpg

from bench import bank
from bench.clients import as_tasks
from bench.contenders.log import Accounts, opened
from bench.model import Contender, Home, Place, Sample, Turns, fresh
from twofold.adapters.postgres import append_within

_CLIENTS = range(64)


def contenders(home: Home) -> tuple[Contender, ...]:
    """Return the log alone, and beside applications that hold its lock for longer and longer."""
    remarks = (
        "Conditional appends of 64 callers, while a program without a pause inserts a row of its own and appends an event in "
        "one transaction: it commits at once, or does something else for so long first."
    )
    alone = Contender("the log alone", home.durability, remarks, {"within": fresh(_alone)})
    return alone, *[_beside(home, pause) for pause in (0, 1, 10, 100)]


def _beside(home: Home, pause_ms: int) -> Contender:
    name = f"beside one that waits {pause_ms} ms" if pause_ms else "beside one that commits at once"
    run = fresh(lambda place, turns: asyncio.run(_appending_beside(place, turns, pause_ms / 1000)))
    return Contender(name, home.durability, trials={"within": run})


def _alone(place: Place, turns: Turns) -> Sample:
    async def scenario() -> Sample:
        async with opened(place.log) as log:
            return await as_tasks(turns, _CLIENTS, Accounts(log).deposit)

    return asyncio.run(scenario())


async def _appending_beside(place: Place, turns: Turns, pause_seconds: float) -> Sample:
    commits = count()
    async with opened(place.log) as log:
        begun = asyncio.Event()
        application = asyncio.create_task(_apply(place.log, pause_seconds, commits, begun))
        await begun.wait()
        before = next(commits)
        sample = await as_tasks(turns, _CLIENTS, Accounts(log).deposit)
        own = next(commits) - before
        application.cancel()
        with suppress(asyncio.CancelledError):
            await application
    return Sample(
        sample.operations,
        sample.seconds,
        f"the application itself committed {own / sample.seconds:,.0f} times a second",
    )


async def _apply(url: str, pause_seconds: float, commits: Iterator[int], begun: asyncio.Event) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE TABLE orders (number bigint PRIMARY KEY)")
        for number in commits:
            async with connection.transaction():
                await connection.execute("INSERT INTO orders VALUES ($1)", number)
                await append_within(connection, [bank.deposited("application", 1, bank.reference(number))])
                await asyncio.sleep(pause_seconds)
            begun.set()
    finally:
        await connection.close()
