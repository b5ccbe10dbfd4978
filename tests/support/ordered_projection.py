"""A projection that does to its rows all that one may, and the same by hand, one event after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import msgspec
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from tests.support.claims import claimed
from twofold import Event, Index, Tag, View, project, replace
from twofold.clock import SystemClock
from twofold.errors import LogUnavailable
from twofold.log import Log
from twofold.views import ProjectionHandler, Transaction, ViewStore, layout, replacing
from twofold.views.tables import table_of

ItemId = Annotated[str, Tag("item")]


class Step(msgspec.Struct, frozen=True):
    """One thing that is done to the rows."""

    do: Literal["add", "put", "delete", "clear", "bump", "count", "text"]
    item: str
    owner: str


class Done(Event):
    steps: tuple[Step, ...]


class Item(View, key=ItemId):
    owner: Annotated[str, Index] = ""
    times: int = 0


class Seen(View, key=ItemId):
    times: int = 0


@project(Item, Seen)
async def items(event: Done, rows: Transaction) -> None:
    for step in event.steps:
        await _take(step, rows)


async def _take(step: Step, rows: Transaction) -> None:
    match step.do:
        case "add":
            row = await rows.get(Item, step.item)
            rows.put(replace(row, owner=step.owner, times=row.times + 1))
        case "put":
            rows.put(Item(key=step.item, owner=step.owner))
        case "delete":
            rows.delete(Item, step.item)
        case "clear":
            rows.delete_where(Item, Item.c.owner == step.owner, Item.c.times >= 0)
        case "bump":
            rows.execute(update(table_of(Item)).where(Item.c.owner == step.owner).values(times=Item.c.times + 10))
        case "count":
            rows.put(Seen(key=step.item, times=(await rows.get(Item, step.item)).times))
        case "text":
            rows.execute(text("SELECT 1"))


def by_hand(events: Iterable[Done]) -> tuple[list[Item], list[Seen]]:
    """Return the rows that the steps make, each taken when the one before it is done."""
    rows: dict[str, Item] = {}
    seen: dict[str, Seen] = {}
    for step in (step for event in events for step in event.steps):
        row = rows.get(step.item, Item(key=step.item))
        match step.do:
            case "add":
                rows[step.item] = replace(row, owner=step.owner, times=row.times + 1)
            case "put":
                rows[step.item] = Item(key=step.item, owner=step.owner)
            case "delete":
                rows.pop(step.item, None)
            case "clear":
                rows = {key: each for key, each in rows.items() if each.owner != step.owner}
            case "bump":
                rows = {k: replace(r, times=r.times + 10 * (r.owner == step.owner)) for k, r in rows.items()}
            case "count":
                seen[step.item] = Seen(key=step.item, times=row.times)
    return [rows[key] for key in sorted(rows)], [seen[key] for key in sorted(seen)]


_steps = st.builds(
    Step,
    do=st.sampled_from(["add", "put", "delete", "clear", "bump", "count", "add", "clear"]),
    item=st.sampled_from("xyz"),
    owner=st.sampled_from(["ann", "bob"]),
)
happenings = st.lists(st.builds(Done, steps=st.lists(_steps, max_size=5).map(tuple)), max_size=12)


async def filled(store: ViewStore, log: Log, sizes: Sequence[int], follower: str = "items_v1") -> None:
    """Have the projection handle what is in the log, in batches of these sizes, by a new process after each negative one.

    A database that is away now and then is tried again, by a new process.
    """
    position = -1
    for size in [*sizes, 1000]:
        while True:
            try:
                if position < 0:
                    handler = ProjectionHandler(items, log, store, SystemClock(), as_shadow=follower != "items_v1")
                    claim = await claimed(store, follower, "test", 0)
                    await handler.start(claim)
                    position = claim.position
                batch = await log.read(handler.criteria, position, abs(size)) if size else []
                await handler.apply(batch, batch[-1].position if batch else position, {})
            except LogUnavailable:
                position = -1
                continue
            break
        position = -1 if size < 0 else (batch[-1].position if batch else position)


async def rows_of(store: ViewStore) -> tuple[list[Any], list[Any]]:
    """Return the rows of both views, by key."""

    async def rows(view: Any) -> list[Any]:
        return [view(**row._mapping) for row in await store.select(select(table_of(view)).order_by(view.c.key))]

    return await rows(Item), await rows(Seen)


async def rebuilt(store: ViewStore, log: Log, sizes: Sequence[int]) -> None:
    """Fill the views anew, in batches of other sizes, and let the new rows take over."""
    shapes = [layout(Item), layout(Seen)]
    await replacing.begin(store, "items_v1", shapes)
    await filled(store, log, sizes, "items_v1:rebuild")
    async with asyncio.timeout(30):
        while not await replacing.take_over(store, "items_v1", shapes):
            await asyncio.sleep(0.01)
