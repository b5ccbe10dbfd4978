"""The following loop when things go wrong: leases, failures that pass and that do not, ends in the middle."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Self

import pytest

from tests.support.claims import claimed
from tests.support.waiting import until
from twofold import Event, Query, Service, Tag, View, Views, answer, evolve, replace
from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import SystemClock
from twofold.errors import LogUnavailable
from twofold.followers import Block, Checkpoint, Claim, Coordinator, EventFailed, Parked, checkpoints, claiming, parking
from twofold.followers.session import Unit
from twofold.log import Batch, NewEvent
from twofold.messages import encode, tagger
from twofold.service import Running
from twofold.testing import running
from twofold.views import replacing

BoxId = Annotated[str, Tag("box")]


class Put(Event):
    box: BoxId
    thing: str


class Box(View, key=BoxId):
    things: tuple[str, ...] = ()

    @evolve
    def put(self, event: Put) -> Self:
        if event.thing in REFUSED:
            raise ValueError(f"no place for {event.thing}")
        return replace(self, things=(*self.things, event.thing))


REFUSED: set[str] = set()


class ThingsIn(Query[tuple[str, ...]]):
    box: str


@answer
async def things_in(query: ThingsIn, views: Views) -> tuple[str, ...]:
    row = await views.get(Box, query.box)
    return row.things if row else ()


boxes = Service("boxes", views=[Box], queries=[things_in])


async def put(started: Running, *puts: str) -> int:
    """Append what ``box:thing`` says, and return the last position."""
    parted = [each.partition(":") for each in puts]
    events = [Put(box=box, thing=thing) for box, _, thing in parted]
    new = [NewEvent(started.clock.new_id(), "Put", 1, tagger(Put)(each), encode(each)) for each in events]
    return int(getattr(await started.log.append(new), "last", 0))


async def followed(started: Running, position: int) -> None:
    await until(lambda: is_at(started, position))


async def is_at(started: Running, position: int) -> bool:
    return await checkpoints.position(started.views, "box_v1") >= position


@pytest.fixture(autouse=True)
def nothing_is_refused() -> Any:
    """Begin and end with code that is right."""
    REFUSED.clear()
    yield
    REFUSED.clear()


# A handler of which a test decides what happens.


class Steps:
    """A handler that does as it is told, over a list of batches."""

    name = "steps"

    def __init__(self, store: SqliteViews, batches: Sequence[Batch[str]] = ()) -> None:
        self._store = store
        self._batches = batches
        self._claim: Claim
        self.parked: set[str] = set()
        self.done: list[str] = []
        self.applying: Callable[[str], None] = lambda event: None
        self.starting: Callable[[], None] = lambda: None
        self.retrying = asyncio.Event()
        self.may_retry = asyncio.Event()

    async def batches(self, after: int) -> AsyncIterator[Batch[str]]:
        for batch in self._batches:
            if batch.position > after:
                yield batch
        await asyncio.Event().wait()

    async def start(self, claim: Claim) -> Collection[str]:
        self.starting()
        self._claim = claim
        return self.parked

    async def apply(self, events: Sequence[str], position: int, blocked: Mapping[str, Block]) -> None:
        kept = [event for event in events if event not in blocked]
        for event in kept:
            self.applying(event)
        await self._store.commit(Checkpoint(self._claim, position))
        self.done += kept

    async def retry(self, keys: Sequence[str]) -> Collection[str]:
        self.retrying.set()
        await self.may_retry.wait()
        return keys


class QuickClock(SystemClock):
    """Sleeps a hundredth of what it is told, which chance shortens by nothing, and remembers what that was."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    def random(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(seconds / 100)


class WatchedViews(SqliteViews):
    """Counts how often it is asked for claims, and can hold the answer up or fail."""

    def __init__(self, path: str, clock: SystemClock) -> None:
        super().__init__(path, clock)
        self.asked = 0
        self.fences: set[int] = set()
        self.claiming = asyncio.Event()
        self.may_claim: asyncio.Event | None = None
        self.away = False

    async def run(self, unit: Unit[Any], *, may_wait: bool = True) -> Any:
        if not (isinstance(unit, partial) and unit.func is claiming._attend):
            return await super().run(unit, may_wait=may_wait)
        _, followers, _ = unit.args
        return await self.attend(unit, followers)

    async def attend(self, unit: Unit[list[Claim]], followers: Sequence[str]) -> list[Claim]:
        self.asked += 1
        if self.away:
            raise LogUnavailable("The disk is away.")
        claims = await super().run(unit)
        self.fences |= {claim.fence for claim in claims}
        self.claiming.set()
        if self.may_claim is not None:
            await self.may_claim.wait()
        return claims


@asynccontextmanager
async def watched_views(folder: Path, clock: SystemClock) -> AsyncIterator[WatchedViews]:
    views = WatchedViews(str(folder / "views.db"), clock)
    await views.open()
    try:
        yield views
    finally:
        await views.close()


@asynccontextmanager
async def follower_of(store: SqliteViews, handler: Any, clock: SystemClock) -> AsyncIterator[Coordinator]:
    coordinator = Coordinator(store, {handler.name: lambda: handler}, clock, "test")
    task = asyncio.create_task(coordinator.run())
    try:
        yield coordinator
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def test_a_claim_that_comes_after_the_end_is_given_back(tmp_path: Path) -> None:
    """Ended while it was waiting for the database, a follower leaves nothing for which others would have to wait."""

    async def scenario() -> None:
        clock = SystemClock()
        async with watched_views(tmp_path, clock) as store:
            store.may_claim = asyncio.Event()
            async with follower_of(store, Steps(store), clock):
                await store.claiming.wait()
                asyncio.get_running_loop().call_later(0.01, store.may_claim.set)
            assert [each.owner for each in await checkpoints.progress(store)] == [""]

    asyncio.run(scenario())


def test_a_start_that_fails_gives_its_claim_back_and_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With longer and longer pauses, and said in the log; it does not wait for its own lease to end."""

    async def scenario() -> None:
        clock = QuickClock()
        async with watched_views(tmp_path, clock) as store:
            handler = Steps(store, [Batch(["a"], 1, 1)])
            failures = iter([ValueError("not yet")] * 5)
            handler.starting = lambda: _raise_next(failures)
            async with follower_of(store, handler, clock) as coordinator:
                await until(lambda: _true(handler.done == ["a"]))
                await until(lambda: _true(coordinator.failing() == {}))
                assert len(store.fences) == 6
                assert [each for each in clock.slept if each != 0.5][:5] == [0.1, 0.2, 0.4, 0.8, 1.6]
            assert caplog.text.count("steps stopped on an error of its own") == 5

    asyncio.run(scenario())


def test_a_pause_that_ends_while_claims_are_asked_for_is_not_forgotten(tmp_path: Path) -> None:
    """The answer cannot have what rested when the question was put; the next pause is longer all the same."""
    pauses: list[float] = []
    rested = asyncio.Event()

    class HeldClock(SystemClock):
        async def sleep(self, seconds: float) -> None:
            if seconds == 0.5:
                await asyncio.sleep(0)
            else:
                pauses.append(seconds)
                await rested.wait()

    class Asked(WatchedViews):
        coordinator: Coordinator

        async def attend(self, unit: Unit[list[Claim]], followers: Sequence[str]) -> list[Claim]:
            claims = await super().attend(unit, followers)
            if not followers:
                rested.set()
                while self.coordinator._work:
                    await asyncio.sleep(0)
            return claims

    async def scenario() -> None:
        store = Asked(str(tmp_path / "views.db"), SystemClock())
        await store.open()
        handler = Steps(store, [Batch(["a"], 1, 1)])
        failures = iter([ValueError("not yet")] * 2)
        handler.starting = lambda: _raise_next(failures)
        async with follower_of(store, handler, HeldClock()) as store.coordinator:
            await until(lambda: _true(handler.done == ["a"]))
        await store.close()
        assert 0.05 <= pauses[0] <= 0.1 <= pauses[1] <= 0.2

    asyncio.run(scenario())


def _raise_next(errors: Any) -> None:
    for error in errors:
        raise error


async def _true(condition: bool) -> bool:
    return condition


def test_a_database_that_is_away_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its absence is what is wrong, until it is back, though no event has come in between."""

    async def scenario() -> None:
        clock = QuickClock()
        async with watched_views(tmp_path, clock) as store:
            store.away = True
            async with follower_of(store, Steps(store), clock) as coordinator:
                await until(lambda: _true(store.asked >= 3))
                assert coordinator.failing() == {"steps": "The disk is away."}
                store.away = False
                await until(lambda: _true(coordinator.failing() == {}))
        assert "steps pauses: The disk is away." in caplog.text

    asyncio.run(scenario())


def test_what_cancels_itself_is_an_error_like_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Code that awaits something cancelled looks as if it had been told to end; nobody has, so it is said and tried again."""

    async def scenario() -> None:
        clock = QuickClock()
        async with watched_views(tmp_path, clock) as store:
            handler = Steps(store, [Batch(["a"], 1, 1)])
            failures = iter([asyncio.CancelledError()] * 2)
            handler.applying = lambda event: _raise_next(failures)
            async with follower_of(store, handler, clock):
                await until(lambda: _true(handler.done == ["a"]))
        assert caplog.text.count("steps stopped on an error of its own") == 2
        assert "cancelled from within" in caplog.text

    asyncio.run(scenario())


def test_very_many_failing_keys_do_not_hold_up_the_others(tmp_path: Path) -> None:
    """When all keys of a batch fail, each is not waited for four times: the reason is not one that passes."""

    async def scenario() -> None:
        clock = QuickClock()
        async with watched_views(tmp_path, clock) as store:
            handler = Steps(store, [Batch([f"{'bad' if n % 2 else 'good'}-{n}" for n in range(200)], 200, 200)])

            def applying(event: str) -> None:
                if event.startswith("bad"):
                    raise EventFailed(int(event[4:]), event, ValueError("broken"))

            handler.applying = applying
            async with follower_of(store, handler, clock) as coordinator:
                await until(lambda: _true([each.position for each in coordinator.followers()] == [200]))
            assert handler.done == [f"good-{n}" for n in range(0, 200, 2)]
            pauses = [seconds for seconds in clock.slept if seconds not in (0.5, 0.05)]
            assert 3 <= len(pauses) <= 12

    asyncio.run(scenario())


def test_a_long_retry_does_not_lose_the_lease(tmp_path: Path) -> None:
    """It is renewed meanwhile, and new events wait, as the key's order wants it."""

    async def scenario() -> None:
        clock = QuickClock()
        async with watched_views(tmp_path, clock) as store:
            claim = await claimed(store, "steps", "earlier", 0)
            await store.commit(Checkpoint(claim, 0, (Parked("steps", "a", 0, "broken", 4, 5),)))
            handler = Steps(store)
            handler.parked = {"a"}
            async with follower_of(store, handler, clock):
                await parking.request_retry(store, "steps", ["a"])
                await handler.retrying.wait()
                asked = store.asked
                await until(lambda: _true(store.asked >= asked + 3))
                handler.may_retry.set()

    asyncio.run(scenario())


def test_where_nothing_is_parked_nothing_is_asked(tmp_path: Path) -> None:
    """A healthy follower does not look for retries twice a second."""

    async def scenario() -> None:
        clock = QuickClock()

        class Unasked(WatchedViews):
            async def read(self, unit: Unit[Any]) -> Any:
                assert not (isinstance(unit, partial) and unit.func is parking._retries)
                return await super().read(unit)

        store = Unasked(str(tmp_path / "views.db"), clock)
        await store.open()
        async with follower_of(store, Steps(store), clock) as coordinator:
            await until(lambda: _true(store.asked >= 5))
            assert coordinator.failing() == {}
        await store.close()

    asyncio.run(scenario())


# Discarding.


def test_what_waited_behind_a_discarded_event_flows_on(tmp_path: Path) -> None:
    """Nobody has to ask for it, and what comes later is not parked behind nothing."""

    async def scenario() -> None:
        REFUSED.add("elephant")
        async with running(boxes, tmp_path) as started:
            await followed(started, await put(started, "a:hat", "a:elephant", "a:shoe", "b:cap"))
            assert len(await parking.parked(started.views)) == 2
            assert await parking.discard(started.views, "box_v1", "box:a", 2) == 1
            await until(lambda: nothing_parked(started))
            await followed(started, position := await put(started, "a:coat"))
            assert await started.ask(ThingsIn(box="a")) == ("hat", "shoe", "coat")
            assert position == 5

    asyncio.run(scenario())


def test_a_key_of_which_everything_was_discarded_is_a_key_like_others(tmp_path: Path) -> None:
    """Its next events are handled, at the latest after one of them was parked for a moment."""

    async def scenario() -> None:
        REFUSED.add("elephant")
        async with running(boxes, tmp_path) as started:
            await followed(started, await put(started, "a:hat", "a:elephant", "a:shoe"))
            assert await parking.discard(started.views, "box_v1", "box:a") == 2
            await followed(started, await put(started, "a:coat"))
            await until(lambda: nothing_parked(started))
            await followed(started, await put(started, "a:belt"))
            await until(lambda: nothing_parked(started))
            assert await started.ask(ThingsIn(box="a")) == ("hat", "coat", "belt")

    asyncio.run(scenario())


async def nothing_parked(started: Running) -> bool:
    return not await parking.parked(started.views)


def test_very_many_parked_events_of_one_key_are_retried_in_order(tmp_path: Path) -> None:
    """All of them, before anything that comes later."""

    async def scenario() -> None:
        REFUSED.add("elephant")
        async with running(boxes, tmp_path) as started:
            await followed(started, await put(started, "a:elephant", *[f"a:{n}" for n in range(1100)]))
            assert len(await parking.parked(started.views)) == 1101
            REFUSED.clear()
            await parking.request_retry(started.views, "box_v1", ["box:a"])
            await until(lambda: nothing_parked(started), 60)
            await followed(started, await put(started, "a:last"))
            expected = ("elephant", *[str(n) for n in range(1100)], "last")
            assert await started.ask(ThingsIn(box="a")) == expected

    asyncio.run(scenario())


def test_an_event_that_does_not_fit_is_parked_for_each_key_that_it_names(tmp_path: Path) -> None:
    """Its tags say which, though its data does not."""

    async def scenario() -> None:
        async with running(boxes, tmp_path) as started:
            await put(started, "a:hat", "b:cap", "c:cape")
            await started.log.append([NewEvent("odd", "Put", 1, ("box:a", "box:b", "shelf:1"), b'{"box": 7}')])
            await followed(started, await put(started, "a:shoe", "b:sock", "c:coat"))
            parked = [(each.key, each.position, bool(each.error)) for each in await parking.parked(started.views)]
            assert parked == [("box:a", 4, True), ("box:a", 5, False), ("box:b", 4, True), ("box:b", 6, False)]
            assert await started.ask(ThingsIn(box="c")) == ("cape", "coat")

    asyncio.run(scenario())


# Several processes.


class LaterClock(SystemClock):
    """A clock by which every lease of the others has run out."""

    def now_us(self) -> int:
        return super().now_us() + 60_000_000


def test_a_slow_process_is_replaced_and_can_store_nothing_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Held up in the middle of a batch for longer than its lease, it finds out when it tries, and counts nothing twice."""
    caplog.set_level(logging.INFO, "twofold.followers")

    async def scenario() -> None:
        async with running(boxes, tmp_path) as slow:
            await followed(slow, await put(slow, "a:hat"))
            held, going_on = asyncio.Event(), asyncio.Event()
            commit = slow.views.commit

            async def held_up(*arguments: Any) -> None:
                held.set()
                await going_on.wait()
                await commit(*arguments)

            slow.views.commit = held_up  # type: ignore[assignment,method-assign]
            position = await put(slow, "a:shoe", "b:cap")
            await held.wait()
            async with running(boxes, tmp_path, clock=LaterClock()) as quick:
                await followed(quick, position)
                going_on.set()
                await until(lambda: _true("box_v1 is followed by another process now" in caplog.text))
                await followed(quick, await put(quick, "a:coat"))
                assert await quick.ask(ThingsIn(box="a")) == ("hat", "shoe", "coat")
                assert await quick.ask(ThingsIn(box="b")) == ("cap",)
            # And the slow one takes over again when the other has ended.
            await followed(slow, position := await put(slow, "b:cape"))
            assert await slow.ask(ThingsIn(box="b")) == ("cap", "cape")
            assert position == 5

    asyncio.run(scenario())


def test_two_halves_of_the_keys_are_followed_by_two_processes(tmp_path: Path) -> None:
    """Each event reaches its row once, whichever half it is in, and order holds within each."""

    async def scenario() -> None:
        async with running(boxes, tmp_path) as started:
            await followed(started, await put(started, *[f"box-{n % 20}:{n}" for n in range(100)]))
        halves = sqlite3.connect(tmp_path / "boxes-views.db", isolation_level=None)
        halves.execute("UPDATE twofold_segments SET high = ?", (1 << 31,))
        halves.execute(
            "INSERT INTO twofold_segments (follower, low, high, position) "
            "SELECT follower, high, ?, position FROM twofold_segments",
            (1 << 32,),
        )
        halves.close()
        async with running(boxes, tmp_path) as one, running(boxes, tmp_path) as other:
            await until(lambda: both_are_followed(one))
            for n in range(100, 200):
                position = await put((one, other)[n % 2], f"box-{n % 20}:{n}")
            await followed(one, position)
            for box in range(20):
                expected = tuple(str(n) for n in range(200) if n % 20 == box)
                assert await one.ask(ThingsIn(box=f"box-{box}")) == expected

    asyncio.run(scenario())


async def both_are_followed(started: Running) -> bool:
    progress = await checkpoints.progress(started.views)
    return len(progress) == 2 and all(each.owner for each in progress)


def test_a_rewound_view_is_the_same_in_the_end_with_two_processes(tmp_path: Path) -> None:
    """Whichever of them is the follower before and after."""

    async def scenario() -> None:
        async with running(boxes, tmp_path) as one, running(boxes, tmp_path) as other:
            position = await put(one, *[f"a:{n}" for n in range(50)])
            await followed(one, position)
            await replacing.rewind(other.views, "box_v1", ["box_v1"])
            await followed(other, position)
            assert await one.ask(ThingsIn(box="a")) == tuple(str(n) for n in range(50))

    asyncio.run(scenario())
