"""What a projection does to its rows takes effect in the order in which it is written, whatever the batches are."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, MetaData, Table, Text, insert

from tests.support.claims import claimed
from tests.support.ordered_projection import (
    Done,
    Item,
    ItemId,
    Seen,
    Step,
    by_hand,
    filled,
    happenings,
    rebuilt,
    rows_of,
)
from twofold import Event, View, project, replace
from twofold.adapters.memory import MemoryStore
from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import SystemClock
from twofold.errors import LogUnavailable
from twofold.followers import EventFailed, checkpoints
from twofold.log import Log, NewEvent
from twofold.messages import encode, tagger
from twofold.views import ProjectionHandler, Transaction, ViewStore, layout, schema
from twofold.views.tables import table_of

CLOCK = SystemClock()


class Unsteady(SqliteViews):
    """A database that fails as it is told to, one call after the other: before or after it has stored something."""

    def __init__(self, failures: Iterable[str]) -> None:
        super().__init__(":memory:", CLOCK)
        self._failures: Iterator[str] = iter(failures)

    async def commit(self, *arguments: Any) -> None:
        failure = next(self._failures, "")
        if failure == "before":
            raise LogUnavailable("The disk is full.")
        await super().commit(*arguments)
        if failure == "after":
            raise LogUnavailable("The disk answers no more.")


@asynccontextmanager
async def prepared(events: Iterable[Event], failures: Iterable[str] = ()) -> AsyncIterator[tuple[ViewStore, Log]]:
    log = await Log.open(MemoryStore(), CLOCK)
    store = Unsteady(failures)
    await store.open()
    for view in (Item, Seen):
        await schema.create(store, layout(view))
    for event in events:
        kind = type(event)
        await log.append([NewEvent(CLOCK.new_id(), kind.message_name, 1, tagger(kind)(event), encode(event))])
    yield store, log
    await store.close()
    await log.close()


sizes = st.lists(st.integers(-4, 4), max_size=10)
outcomes = st.lists(st.sampled_from(["", "before", "after"]), max_size=6)


@given(happenings, sizes, sizes, outcomes)
def test_rows_are_what_one_step_after_the_other_makes(
    events: list[Done], batches: list[int], others: list[int], failures: list[str]
) -> None:
    """In whatever batches, by whichever processes, through failures, and again when they are rebuilt."""

    async def scenario() -> None:
        async with prepared(events, failures) as (store, log):
            await filled(store, log, batches)
            assert await rows_of(store) == by_hand(events)
            await rebuilt(store, log, others)
            assert await rows_of(store) == by_hand(events)

    asyncio.run(scenario())


def done(*steps: str) -> Done:
    """Return an event of steps such as ``add x ann``."""
    return Done(steps=tuple(Step(*step.split()) for step in steps))  # type: ignore[arg-type]


IN_ORDER = [
    [done("add x ann"), done("clear - ann"), done("add y ann")],
    [done("add x ann"), done("clear - ann"), done("add x ann")],
    [done("add x ann", "clear - ann", "add x ann")],
    [done("add x ann", "bump - ann", "count x ann", "add x ann", "count x ann")],
    [done("put x ann"), done("bump - ann"), done("bump - ann"), done("count x bob")],
    [done("add x ann"), done("text - -"), done("add x ann"), done("text - -", "add x bob")],
]


@pytest.mark.parametrize("events", IN_ORDER)
@pytest.mark.parametrize("size", [1, 2, 1000])
def test_what_is_got_is_as_all_before_it_has_left_it(events: list[Done], size: int) -> None:
    """Also within one event, after a statement whose effect only the database knows."""

    async def scenario() -> None:
        async with prepared(events) as (store, log):
            await filled(store, log, [size] * len(events))
            assert await rows_of(store) == by_hand(events)

    asyncio.run(scenario())


class Other(View, key=ItemId):
    times: int = 0


@project(Item)
async def putting(event: Done, rows: Transaction) -> None:
    rows.put(Other(key="x"))


@project(Item)
async def deleting(event: Done, rows: Transaction) -> None:
    rows.delete(Other, "x")


@project(Item)
async def getting(event: Done, rows: Transaction) -> None:
    rows.put(replace(await rows.get(Item, "x"), times=(await rows.get(Other, "x")).times))


@project(Item)
async def running(event: Done, rows: Transaction) -> None:
    rows.execute(insert(table_of(Other)).values(key="x", times=1))


@project(Item)
async def clearing(event: Done, rows: Transaction) -> None:
    rows.delete_where(Other, Other.c.times == 1)


@pytest.mark.parametrize("projection", [putting, deleting, getting, running, clearing], ids=lambda each: each.name)
def test_rows_of_a_view_that_is_not_named_are_refused(projection: Any) -> None:
    """Somebody else fills it, so what is found there, or left there, would depend on who is first."""

    async def scenario() -> None:
        async with prepared([done()]) as (store, log):
            await schema.create(store, layout(Other))
            handler = ProjectionHandler(projection, log, store, CLOCK)
            await handler.start(await claimed(store, projection.name, "test", 0))
            with pytest.raises(EventFailed, match=r"Other.*@project\(…, Other\)"):
                await handler.apply(await log.read(handler.criteria, 0, 10), 1, {})

    asyncio.run(scenario())


def test_a_statement_that_is_refused_is_the_fault_of_its_event() -> None:
    """What those before it did is stored, once, and nothing of what comes after."""

    @project(Item)
    async def inserting(event: Done, rows: Transaction) -> None:
        rows.execute(insert(table_of(Item)).values(key=event.steps[0].item, owner="", times=1))
        await rows.get(Item, "y")

    async def scenario() -> None:
        async with prepared([done(f"put {item} ann") for item in "xyxz"]) as (store, log):
            handler = ProjectionHandler(inserting, log, store, CLOCK)
            await handler.start(await claimed(store, "inserting_v1", "test", 0))
            with pytest.raises(EventFailed) as failure:
                await handler.apply(await log.read(handler.criteria, 0, 10), 4, {})
            assert failure.value.subject == (3, "")
            assert [row.key for row in (await rows_of(store))[0]] == ["x", "y"]
            assert await checkpoints.position(store, "inserting_v1") == 2

    asyncio.run(scenario())


NOTES = Table("notes", MetaData(), Column("item", Text))


def test_statements_on_tables_of_ones_own_end_no_batch() -> None:
    """They touch no row that is in memory: they are run with all the rest of it, in order."""

    async def scenario() -> None:
        async with prepared([]) as (store, _):
            rows = Transaction(store, [Item])
            for key in "xy":
                rows.put(Item(key=key, owner="ann"))
                rows.execute(insert(NOTES).values(item=key))
                assert not rows.is_touched
                assert (await rows.get(Item, key)).owner == "ann"
            assert [type(write).__name__ for write in rows.writes()] == ["TableChange", "Insert"] * 2
            rows.accept()
            assert rows.writes() == []

    asyncio.run(scenario())
