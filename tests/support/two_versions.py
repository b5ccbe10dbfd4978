"""One service in the code of before and of after a deployment, as two programs that use one log and one database."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Self

from tests.support.rebuilt_tallies import Add, Added, Counter, TallyId
from tests.support.waiting import until
from twofold import Query, Service, View, Views, answer, evolve, replace
from twofold.clock import SystemClock
from twofold.followers import checkpoints
from twofold.service import Running, Settings
from twofold.service.opening import opened
from twofold.views import Layout, ViewStore, layout, schema


class Find(Query[int]):
    tally: str


class Count(Query[int]):
    pass


def service(view: type[Any] | None) -> Service:
    """Return the service with one version of its view, or without any."""
    if view is None:
        return Service("tallies", aggregates=[Counter])

    @answer
    async def find(query: Find, views: Views) -> int:
        row = await views.get(view, query.tally)
        return 0 if row is None else row.count

    @answer
    async def count(query: Count, views: Views) -> int:
        return sum(row.count for row in await views.find(view, view.c.count > 0))

    return Service("tallies", aggregates=[Counter], views=[view], queries=[find, count])


def first() -> type[Any]:
    """Before the deployment."""

    class Tally(View, key=TallyId):
        count: int = 0

        @evolve
        def added(self, event: Added) -> Self:
            return replace(self, count=self.count + 1)

    return Tally


def second() -> type[Any]:
    """After it, with the same columns."""

    class Tally(View, key=TallyId, version=2):
        count: int = 0

        @evolve
        def added(self, event: Added) -> Self:
            return replace(self, count=self.count + 1)

    return Tally


def wider() -> type[Any]:
    """After it, with a column that the table of before has not."""

    class Tally(View, key=TallyId, version=2):
        count: int = 0
        last: int = 0

        @evolve
        def added(self, event: Added) -> Self:
            return replace(self, count=self.count + 1, last=event.number)

    return Tally


class Hurried(SystemClock):
    """A clock by which nine seconds are soon over: it is waited for that long before anything is dropped."""

    def monotonic(self) -> float:
        return 60 * super().monotonic()


async def rolled_out(settings: Settings) -> None:
    """Deploy the second version beside the first, with commands and questions all the while, and end the first."""
    one: Any = first()
    two, shape = second(), layout(one)
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(AsyncExitStack())
        before = await old.enter_async_context(service(one).run(settings))
        for _ in range(40):
            receipt = await before.send(Add(tally="a"))
        after = await stack.enter_async_context(opened(service(two).declaration, settings, clock=Hurried()))
        assert await after.ask(Find(tally="a"), after=receipt, timeout_seconds=3000) == 40
        assert await after.ask(Count(), after=receipt, timeout_seconds=3000) == 40
        assert await after.view_versions.how_far() == {
            "tally_v2": "tally_v2 is being filled: it is at position 0 of 40."
        }
        ended = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_watch(after, ended))
            after.follow()
            while await after.view_versions.unready():
                await before.send(Add(tally="a"))
            for _ in range(40):
                receipt = await after.send(Add(tally="a"))
                assert await after.ask(Find(tally="a"), after=receipt, timeout_seconds=3000) == receipt.position
                assert await before.ask(Find(tally="a"), after=receipt, timeout_seconds=60) == receipt.position
            ended.set()
        assert watching.result() > 0
        # By its clock, what is not declared for this long is dropped; the first version is, as long as it runs.
        waited = Hurried().monotonic() + 15
        while Hurried().monotonic() < waited:
            assert await before.ask(Find(tally="a")) == receipt.position
        await old.aclose()
        await until(partial(_is_gone, after.views, shape))
        assert await after.ask(Find(tally="a"), after=receipt, timeout_seconds=3000) == receipt.position
        assert {each.follower for each in await after.progress()} == {"tally_v2"}
        assert await checkpoints.caught_up(after.views) == {"tally_v2"}


async def _watch(running: Running, ended: asyncio.Event) -> int:
    """Ask again and again: the answer is never less than it was. Return how often it was asked."""
    seen = asked = 0
    while not ended.is_set():
        for query in (Find(tally="a"), Count()):
            found = await running.ask(query, timeout_seconds=3000)
            assert found >= seen
            seen, asked = found, asked + 1
    return asked


async def _is_gone(store: ViewStore, shape: Layout) -> bool:
    return not await schema.has(store, shape)
