"""An oracle for views: wherever a follower stands, its rows are a fresh fold of what it has handled, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Annotated, Any

from sqlalchemy import select

from twofold import Event, Tag, View, evolve, replace
from twofold.adapters.memory import MemoryStore
from twofold.clock import SystemClock
from twofold.folding import fold_of
from twofold.followers import Coordinator, Parked, Progress, checkpoints, claiming, parking, storable_key
from twofold.log import ALL, Log, NewEvent
from twofold.messages import encode, reader, tagger
from twofold.views import ViewHandler, ViewStore, layout, replacing, schema
from twofold.views.tables import table_of

CLOCK = SystemClock()
KEYS = [f"k{number}" for number in range(12)]
CARRIERS = ["", "c", "c,", ",c", None]

PlaceId = Annotated[str, Tag("place")]
CarrierId = Annotated[str, Tag("carrier")]


class Moved(Event):
    source: PlaceId
    target: PlaceId
    carrier: CarrierId | None
    amount: int


class Place(View, key=PlaceId):
    total: int = 0
    events: int = 0

    @evolve
    def moved(self, event: Moved) -> Any:
        return after(self, self.key, event)


class Haul(View, key=(PlaceId, CarrierId)):
    total: int = 0
    events: int = 0

    @evolve
    def moved(self, event: Moved) -> Any:
        return after(self, self.key[0], event)


def after(row: Any, place: str, event: Moved) -> Any:
    """Return what an event makes of a row that is about one of its places."""
    if event.amount == 13 and place == event.target:
        raise ValueError("unlucky")
    amount = event.amount if place == event.target else -event.amount
    if event.amount == 99:
        return None
    return replace(row, total=row.total + amount, events=row.events + 1)


def named(view: Any, event: Moved) -> dict[str, Any]:
    """Return the keys of a view that an event names, by the texts under which they are parked."""
    places = {f"place:{place}": place for place in (event.source, event.target)}
    if view is Place:
        return places
    if event.carrier is None:
        return {}
    carrier = event.carrier.replace(",", ",,")
    return {f"{text},carrier:{carrier}": (place, event.carrier) for text, place in places.items()}


VIEWS: list[Any] = [Place, Haul]


async def check_standing(log: Log, store: ViewStore, view: Any) -> int:
    """Check a view where it stands, and return at which position; what moves while it is looked at is looked at again."""
    name = layout(view).table
    while True:
        before = (await checkpoints.standings(store)).get(name)
        found = [layout(view).row(**row._mapping) for row in await store.select(select(table_of(view)))]
        segments = [each for each in await checkpoints.progress(store) if each.follower == name]
        parked = await parking.parked(store, name)
        if before is not None and (await checkpoints.standings(store)).get(name) == before:
            break
        await asyncio.sleep(0)
    assert {row.key: row for row in found} == await _folded(log, view, segments, parked)
    return before.position


async def _folded(log: Log, view: Any, segments: list[Progress], parked: list[Parked]) -> dict[Any, Any]:
    """Fold what the segments have handled, without what is parked."""
    fold = fold_of(view)
    aside = {(each.key, each.position) for each in parked}
    rows: dict[Any, Any] = {}
    for recorded in await log.read(ALL, 0, 1_000_000):
        kind, step = fold.steps[recorded.type]
        event = reader(kind, recorded.version)(recorded.data)
        for text, key in named(view, event).items():
            parked_as = storable_key(text)
            handled = next(each.position for each in segments if each.segment.owns(parked_as))
            if recorded.position > handled or (parked_as, recorded.position) in aside:
                continue
            row = step(rows.get(key, view(key=key)), event)
            rows.pop(key, None)
            if row is not None:
                rows[key] = row
    return rows


async def check_under_fire(stores: Callable[[], ViewStore], seed: int, events: int = 400) -> None:
    """Let several owners follow while claims are lost, followers cancelled, values refused, keys retried, segments cut."""
    random = Random(seed)
    log = await Log.open(MemoryStore(), CLOCK)
    opened = [stores() for _ in range(3)]
    for store in opened:
        await store.open()
        for view in VIEWS:
            await schema.create(store, layout(view))
    owners = [asyncio.create_task(_own(log, store)) for store in opened[:2]]
    checked = []
    try:
        for number in range(events // 20):
            await log.append([_move(random, number) for _ in range(20)])
            await asyncio.sleep(0)
            await _trouble(random, opened[2], owners, log, opened)
            checked.append([await check_standing(log, opened[2], view) for view in VIEWS])
        async with asyncio.timeout(60):
            while min(checked[-1]) < await log.head():
                checked.append([await check_standing(log, opened[2], view) for view in VIEWS])
                await asyncio.sleep(0.01)
        assert checked[-1] == [events] * len(VIEWS)
        assert all(len({*positions}) > 1 for positions in zip(*checked, strict=True))
        assert {each.follower for each in await parking.parked(opened[2])} == {layout(view).table for view in VIEWS}
    finally:
        for task in owners:
            task.cancel()
        await asyncio.gather(*owners, return_exceptions=True)
        for store in opened:
            await store.close()
        await log.close()


async def _own(log: Log, store: ViewStore) -> None:
    handlers = {layout(view).table: partial(ViewHandler, view, log, store, CLOCK) for view in VIEWS}
    await Coordinator(store, handlers, CLOCK, "oracle").run()


def _move(random: Random, number: int) -> NewEvent:
    amount = random.choice([1, 2, 3, 5, 99] * 20 + [13, 2**62, 2**62])
    source, target, carrier = random.choice(KEYS), random.choice(KEYS), random.choice(CARRIERS)
    event = Moved(source=source, target=target, carrier=carrier, amount=amount)
    return NewEvent(CLOCK.new_id(), "Moved", 1, tagger(Moved)(event), encode(event))


async def _trouble(
    random: Random, store: ViewStore, owners: list[asyncio.Task[None]], log: Log, opened: list[ViewStore]
) -> None:
    follower = layout(random.choice(VIEWS)).table
    parked = {each.key for each in await parking.parked(store, follower)}
    segments = len([each for each in await checkpoints.progress(store) if each.follower == follower])
    match random.randrange(16):
        case 0:
            # An owner is gone in the middle of whatever it was doing, and another one comes.
            place = random.randrange(len(owners))
            owners[place].cancel()
            await asyncio.gather(owners[place], return_exceptions=True)
            owners[place] = asyncio.create_task(_own(log, opened[place]))
        case 1:
            await parking.request_retry(store, follower, sorted(parked))
        case 2 if await checkpoints.position(store, follower):
            await replacing.rewind(store, follower, [follower])
        case 3 if segments == 1 and "" not in parked:
            await claiming.split(store, follower, 3)
        case 4 if segments == 3:
            await claiming.merge(store, follower)
        case _:
            await asyncio.sleep(random.random() / 4)
