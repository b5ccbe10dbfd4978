"""Filling views: whatever the batches and restarts, the rows are those that folding the events one by one makes."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Self, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select

from tests.support.claims import claimed
from tests.support.waiting import until
from twofold import Event, Service, Tag, View, evolve, project, replace
from twofold.adapters.memory import MemoryStore
from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import SystemClock
from twofold.errors import LogUnavailable
from twofold.folding import fold_of
from twofold.followers import Checkpoint, Claim, parking
from twofold.log import Log, NewEvent, RecordedEvent
from twofold.messages import encode, tagger
from twofold.service import Running
from twofold.testing import running
from twofold.views import ProjectionHandler, Transaction, ViewHandler, ViewStore, layout, schema
from twofold.views.tables import table_of

PlayerId = Annotated[str, Tag("player")]
CLOCK = SystemClock()


class Scored(Event):
    player: PlayerId
    points: int


class Beat(Event):
    winner: PlayerId
    loser: PlayerId


class Left(Event):
    players: tuple[PlayerId, ...]


class Standing(View, key=PlayerId):
    points: int = 0
    history: tuple[str, ...] = ()

    @evolve
    def scored(self, event: Scored) -> Self:
        return replace(self, points=self.points + event.points, history=(*self.history, f"scored {event.points}"))

    @evolve
    def beat(self, event: Beat) -> Self:
        return replace(self, history=(*self.history, "won" if event.winner == self.key else "lost"))

    @evolve
    def left(self, event: Left) -> Self | None:
        return None


class Total(View, key=Annotated[int, Tag("total")]):
    points: int = 0
    events: int = 0


@project(Total)
async def totals(event: Scored | Beat, rows: Transaction) -> None:
    total = await rows.get(Total, 0)
    points = event.points if isinstance(event, Scored) else 0
    rows.put(replace(total, points=total.points + points, events=total.events + 1))


def new(event: Event) -> NewEvent:
    kind = type(event)
    return NewEvent(CLOCK.new_id(), kind.message_name, 1, tagger(kind)(event), encode(event))


@asynccontextmanager
async def log_of(events: Iterable[Event]) -> AsyncIterator[Log]:
    log = await Log.open(MemoryStore(), CLOCK)
    await log.append([new(event) for event in events])
    yield log
    await log.close()


@asynccontextmanager
async def views_at(path: str = ":memory:", *views: type[View]) -> AsyncIterator[ViewStore]:
    store = SqliteViews(path, CLOCK)
    await store.open()
    for view in views:
        await schema.create(store, layout(view))
    yield store
    await store.close()


async def begun(store: ViewStore, handler: Any) -> Claim:
    claim = await claimed(store, handler.name, "test", 0)
    await handler.start(claim)
    return claim


async def rows_of(store: ViewStore, view: Any) -> list[Any]:
    return [view(**row._mapping) for row in await store.select(select(table_of(view)).order_by(view.c.key))]


def naively(events: Iterable[Event]) -> list[Standing]:
    """Fold each player's events by hand."""
    rows: dict[str, Standing] = {}
    fold = fold_of(Standing)
    for event in events:
        for tag in tagger(type(event))(event):
            key = tag.partition(":")[2]
            row = fold.steps[type(event).__name__][1](rows.get(key, Standing(key=key)), event)
            if row is None:
                rows.pop(key, None)
            else:
                rows[key] = row
    return [rows[key] for key in sorted(rows)]


players = st.sampled_from(["ann", "bob", "cid"])
happenings = st.one_of(
    st.builds(Scored, player=players, points=st.integers(-5, 5)),
    st.builds(Beat, winner=players, loser=players),
    st.builds(Left, players=st.lists(players, max_size=3).map(tuple)),
)


@given(st.lists(happenings, max_size=30), st.lists(st.integers(0, 7), max_size=12), st.data())
def test_rows_are_what_folding_one_by_one_makes(events: list[Event], sizes: list[int], data: st.DataObject) -> None:
    """Whatever the batches are, also empty ones, and wherever the follower is started anew in between."""

    async def scenario() -> None:
        async with log_of(events) as log, views_at(":memory:", Standing) as store:
            handler = ViewHandler(Standing, log, store, CLOCK)
            position = (await begun(store, handler)).position
            for size in [*sizes, len(events)]:
                batch = await log.read(handler.criteria, position, size) if size else []
                position = batch[-1].position if batch else position
                await handler.apply(batch, position, {})
                if data.draw(st.booleans()):
                    handler = ViewHandler(Standing, log, store, CLOCK)
                    assert (await begun(store, handler)).position == position
            assert await rows_of(store, Standing) == naively(events)

    asyncio.run(scenario())


class Seen(Event):
    player: PlayerId
    at: datetime


class Rank(IntEnum):
    guest = 1
    friend = 2


class Visits(View, key=PlayerId):
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    share: float = 0.0
    far: float = 0.0
    shares: dict[str, float] = {}
    rank: Rank = Rank.guest
    hours: tuple[str, ...] = ()

    @evolve
    def seen(self, event: Seen) -> Self:
        seen = f"{self.at.hour} {self.share} {self.far} {self.shares.get('of all')} {self.rank!r}"
        hours, rank = (*self.hours, seen), cast("Rank", 2)
        shares = {"of all": len(hours)}
        return replace(self, at=event.at, share=len(hours), far=2**60, shares=shares, rank=rank, hours=hours)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_row_in_memory_is_as_it_would_be_read(size: int) -> None:
    """In UTC, say, from whatever zone its time came: a fold that looks at the hour makes the same whatever the batches are."""

    async def scenario() -> None:
        east = timezone(timedelta(hours=9))
        events = [Seen(player="ann", at=datetime(2026, 1, 1, hour, tzinfo=east)) for hour in (12, 13, 14, 15)]
        async with log_of(events) as log, views_at(":memory:", Visits) as store:
            for after in range(0, 4, size):
                handler = ViewHandler(Visits, log, store, CLOCK)
                await begun(store, handler)
                batch = await log.read(handler.criteria, after, size)
                await handler.apply(batch, batch[-1].position, {})
            (row,) = await rows_of(store, Visits)
            far = float(2**60)
            later = [f"{hour} {n} {far} {n} {Rank.friend!r}" for hour, n in ((3, 1.0), (4, 2.0), (5, 3.0))]
            assert row.hours == (f"0 0.0 0.0 None {Rank.guest!r}", *later)

    asyncio.run(scenario())


def test_a_projection_gets_each_event_once_and_in_order() -> None:
    """It reads what it has written in the same batch, and what an earlier process has written."""

    async def scenario() -> None:
        events = [Scored(player="ann", points=n) for n in range(10)] + [Beat(winner="ann", loser="bob")]
        async with log_of(events) as log, views_at(":memory:", Total) as store:
            for after in range(0, 11, 3):
                handler = ProjectionHandler(totals, log, store, CLOCK)
                assert (await begun(store, handler)).position == after
                batch = await log.read(handler.criteria, after, 3)
                await handler.apply(batch, batch[-1].position, {})
            assert await rows_of(store, Total) == [Total(key=0, points=45, events=11)]

    asyncio.run(scenario())


class Shaky(SqliteViews):
    """A database that can be told to fail, before or after it has stored something."""

    def __init__(self, path: str) -> None:
        super().__init__(path, CLOCK)
        self.fails_before = self.fails_after = self.fails_loading = 0

    async def load(self, *arguments: Any) -> Any:
        if self.fails_loading:
            self.fails_loading -= 1
            raise LogUnavailable("The disk is away.")
        return await super().load(*arguments)

    async def commit(self, *arguments: Any) -> None:
        if self.fails_before:
            self.fails_before -= 1
            raise LogUnavailable("The disk is full.")
        await super().commit(*arguments)
        if self.fails_after:
            self.fails_after -= 1
            raise LogUnavailable("The disk answers no more.")


@pytest.mark.parametrize("fails", ["fails_before", "fails_after", "fails_loading"])
def test_a_batch_whose_storing_failed_is_folded_anew(fails: str, tmp_path: Path) -> None:
    """From what the database has, be it with or without that batch: nothing is counted twice or left out."""

    async def scenario() -> None:
        store = Shaky(str(tmp_path / "views.db"))
        await store.open()
        await schema.create(store, layout(Standing))
        events = [Scored(player="ann", points=n) for n in range(6)]
        async with log_of(events) as log:
            handler = ViewHandler(Standing, log, store, CLOCK)
            position = (await begun(store, handler)).position
            await handler.apply(await log.read(handler.criteria, position, 2), 2, {})
            if fails == "fails_loading":
                handler._rows.forget()
            setattr(store, fails, 1)
            with pytest.raises(LogUnavailable):
                await handler.apply(await log.read(handler.criteria, 2, 2), 4, {})
            position = (await begun(store, handler)).position
            assert position == (4 if fails == "fails_after" else 2)
            await handler.apply(await log.read(handler.criteria, position, 100), 6, {})
            assert await rows_of(store, Standing) == naively(events)
        await store.close()

    asyncio.run(scenario())


def test_a_row_that_could_not_be_read_is_not_taken_for_absent(tmp_path: Path) -> None:
    """A projection that is tried again after a failed reading goes on from the row that there is."""

    async def scenario() -> None:
        store = Shaky(str(tmp_path / "views.db"))
        await store.open()
        await schema.create(store, layout(Total))
        rows = Transaction(store, [Total])
        rows.put(Total(key=0, points=5))
        claim = await claimed(store, "totals_v1", "test", 0)
        await store.commit(Checkpoint(claim, 1), rows.writes())
        again = Transaction(store, [Total])
        store.fails_loading = 1
        with pytest.raises(LogUnavailable):
            await again.get(Total, 0)
        assert await again.get(Total, 0) == Total(key=0, points=5)
        both = Transaction(store, [Total])
        assert [*await asyncio.gather(both.get(Total, 0), both.get(Total, 0))] == [Total(key=0, points=5)] * 2
        await store.close()

    asyncio.run(scenario())


# Rows that the database does not take.


class Odd(View, key=PlayerId):
    points: int = 0
    note: str = ""
    share: float = 0.0

    @evolve
    def scored(self, event: Scored) -> Self:
        match event.points:
            case 13:
                return replace(self, note="\ud800")
            case 14:
                return replace(self, note=None)
            case 15:
                return replace(self, share=float("nan"))
            case 16:
                return replace(self, points=2**63)
            case _:
                return replace(self, points=self.points + event.points)


odd = Service("odd", views=[Odd])


async def tried_again(started: Running, attempts: int) -> bool:
    return (await parking.parked(started.views))[0].attempts > attempts


async def nothing_parked(started: Running) -> bool:
    return not await parking.parked(started.views)


@pytest.mark.parametrize("points", [13, 14, 15, 16])
def test_what_the_database_does_not_take_parks_its_key_alone(points: int, tmp_path: Path) -> None:
    """Neither the batch around it nor other keys wait for somebody to mend it, and nothing is counted twice."""

    async def scenario() -> None:
        async with running(odd, tmp_path) as started:
            scores = [("ann", 1), ("bob", 1), ("ann", points), ("bob", 2), ("ann", 5), ("cid", 1)]
            await started.log.append([new(Scored(player=player, points=each)) for player, each in scores])
            await started._positions.reach("odd_v1", len(scores), 30)
            rows = await rows_of(started.views, Odd)
            assert [(row.key, row.points) for row in rows] == [("ann", 1), ("bob", 3), ("cid", 1)]
            parked = await parking.parked(started.views)
            assert [(each.key, each.position) for each in parked] == [("player:ann", 3), ("player:ann", 5)]
            assert parked[0].error
            assert (parked[0].attempts > 1) == (not parked[0].error.startswith("ValueRefused"))

            # Tried again while it is still so, it stays parked with its reason, and the follower goes on.
            await parking.request_retry(started.views, "odd_v1", ["player:ann"])
            await until(lambda: tried_again(started, parked[0].attempts))
            outcome = await started.log.append([new(Scored(player="bob", points=4))])
            await started._positions.reach("odd_v1", getattr(outcome, "last", 0), 30)
            assert [row.points for row in await rows_of(started.views, Odd)] == [1, 7, 1]
            assert len(await parking.parked(started.views)) == 2

    asyncio.run(scenario())


NOTES = Table("notes", MetaData(), Column("player", Text, primary_key=True), Column("points", Integer))


@project(Total)
async def noted(event: Scored, rows: Transaction) -> None:
    total = await rows.get(Total, 0)
    rows.put(replace(total, events=total.events + 1))
    rows.execute(insert(NOTES).values(player=event.player, points=event.points))


noting = Service("noting", projections=[noted])


def test_a_statement_that_fails_parks_from_its_event_on(tmp_path: Path) -> None:
    """Those before it are stored, once; mended, the rest is done as if nothing had been."""

    async def scenario() -> None:
        path = tmp_path / "noting-views.db"
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE notes (player TEXT PRIMARY KEY, points INTEGER)")
            connection.execute("INSERT INTO notes VALUES ('bob', 0)")
        connection.close()
        async with running(noting, tmp_path) as started:
            await started.log.append([new(Scored(player=each, points=1)) for each in ("ann", "ada", "bob", "cid")])
            await started._positions.reach("noted_v1", 4, 30)
            assert await rows_of(started.views, Total) == [Total(key=0, events=2)]
            parked = await parking.parked(started.views)
            assert [(each.position, bool(each.error)) for each in parked] == [(3, True), (4, False)]
            assert "UNIQUE" in parked[0].error
            mending = sqlite3.connect(path, isolation_level=None)
            mending.execute("DELETE FROM notes WHERE player = 'bob'")
            await parking.request_retry(started.views, "noted_v1", [""])
            await until(lambda: nothing_parked(started))
            assert await rows_of(started.views, Total) == [Total(key=0, events=4)]
            assert mending.execute("SELECT count(*) FROM notes").fetchone() == (4,)
            mending.close()

    asyncio.run(scenario())


def test_events_are_handled_once_though_their_batch_is_handed_over_again() -> None:
    """After a part of a batch was stored, the whole comes again: that part is known by its positions."""

    async def scenario() -> None:
        events = [Scored(player="ann", points=1) for _ in range(6)]
        async with log_of(events) as log, views_at(":memory:", Standing) as store:
            handler = ViewHandler(Standing, log, store, CLOCK)
            await begun(store, handler)
            batch: Sequence[RecordedEvent] = await log.read(handler.criteria, 0, 6)
            await handler.apply(batch[:3], 3, {})
            await handler.apply(batch, 6, {})
            assert [row.points for row in await rows_of(store, Standing)] == [6]

    asyncio.run(scenario())


def test_of_an_event_with_two_keys_the_one_is_blamed_whose_row_is_refused(tmp_path: Path) -> None:
    """Also where nobody could foresee it, as an operator's trigger refuses the row; and nobody is called ill for it."""

    async def scenario() -> None:
        async with running(Service("games", views=[Standing]), tmp_path) as started:
            with sqlite3.connect(tmp_path / "games-views.db") as connection:
                connection.execute(
                    "CREATE TRIGGER no_bob BEFORE INSERT ON standing_v1 WHEN new.key = 'bob' "
                    "BEGIN SELECT raise(ABORT, 'not bob'); END"
                )
            connection.close()
            games = [Beat(winner="ann", loser="bob"), Beat(winner="cid", loser="ann"), Beat(winner="bob", loser="cid")]
            await started.log.append([new(game) for game in games])
            await started._positions.reach("standing_v1", len(games), 30)
            parked = await parking.parked(started.views)
            assert [(each.key, each.position) for each in parked] == [("player:bob", 1), ("player:bob", 3)]
            assert "not bob" in parked[0].error
            assert parked[0].attempts == 1
            assert [row.history for row in await rows_of(started.views, Standing)] == [("won", "lost"), ("won", "lost")]

    asyncio.run(scenario())
