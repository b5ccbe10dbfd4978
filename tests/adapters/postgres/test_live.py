"""Live queries and cached answers on PostgreSQL, asked in a process that follows nothing itself."""

import asyncio
from contextlib import AsyncExitStack, aclosing

from tests.support.cached_answers import REWOUND, Elsewhere, Operation, always_the_same
from tests.support.postgres import PostgresServer
from tests.support.tally_service import Add, Share, TotalOf, tally
from twofold.adapters.postgres.views import PostgresViews
from twofold.clock import SystemClock
from twofold.limits import Limits, QueryLimits
from twofold.service import Settings
from twofold.service.opening import opened

EVERYTHING: list[Operation] = [
    *REWOUND,
    ("park", "total_v1", "b", 0, True),
    ("park", "total_v1", "a", 0, False),
    ("retry", "total_v1", "b", 3, True),
    ("split", "total_v1", "a", 0, True),
    ("write", "total_v1", "a", 3, True),
    ("write", "total_v1", "b", 2, True),
    ("write", "largest_v1", "b", 2, True),
    ("take over", "total_v1", "a", 0, True),
    ("merge", "total_v1", "a", 0, True),
    ("write", "total_v1", "a", 1, True),
]


def test_a_kept_answer_is_the_one_that_would_be_found(database: str) -> None:
    """Whatever another process does to the views: write, park, retry, divide, rewind, take over."""
    always_kept = Limits(queries=QueryLimits(worthwhile_ratio=0))

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            settings = Settings(log=database, views=database, limits=always_kept)
            asked = await stack.enter_async_context(opened(tally.declaration, settings))
            store = PostgresViews(database, SystemClock())
            stack.push_async_callback(store.close)
            await always_the_same(asked, Elsewhere(store), EVERYTHING)

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_each_change_is_told(database: str) -> None:
    """To one process what the other one has made of commands sent to either."""

    async def scenario() -> None:
        urls = Settings(log=database, views=database)
        async with (
            tally.run(urls) as following,
            opened(tally.declaration, urls) as asked,
            aclosing(asked.watch(Share())) as updates,
        ):
            assert (await anext(updates)).answer == (0, 0)
            for number in range(1, 11):
                await (following, asked)[number % 2].send(Add())
                while (await anext(updates)).answer != (1, number):
                    pass

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_a_server_that_comes_back_is_asked_again(own_server: PostgresServer) -> None:
    """A short absence is waited out: the next change is told once the server is there."""

    async def scenario(url: str) -> None:
        async with tally.run(Settings(log=url, views=url)) as started, aclosing(started.watch(TotalOf())) as updates:
            assert (await anext(updates)).answer == 0
            await asyncio.to_thread(own_server.stop)
            sending = asyncio.create_task(started.send(Add()))
            await asyncio.to_thread(own_server.start)
            await sending
            assert (await anext(updates)).answer == 1

    with own_server.database() as url:
        asyncio.run(asyncio.wait_for(scenario(url), 60))
