"""The following loop: order by key, parking, retrying, taking over."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Self

from hypothesis import given
from hypothesis import strategies as st

from tests.support.claims import claimed
from twofold import Event, Query, Service, Tag, View, Views, answer, evolve, project, replace
from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import SystemClock
from twofold.errors import LeaseLost
from twofold.followers import Checkpoint, Segment, checkpoints, claiming, parking
from twofold.log import NewEvent
from twofold.messages import encode, tagger
from twofold.service import Running, Settings, start
from twofold.views import Transaction, replacing

ItemId = Annotated[str, Tag("item")]

BROKEN: set[str] = set()
"""The words that a view's code cannot handle, until somebody mends it."""


class Said(Event):
    item: ItemId
    word: str


class Words(View, key=ItemId):
    words: tuple[str, ...] = ()

    @evolve
    def said(self, event: Said) -> Self | None:
        if event.word in BROKEN:
            raise ValueError(f"cannot handle {event.word}")
        return None if event.word == "forget" else replace(self, words=(*self.words, event.word))


class Count(View, key=ItemId):
    words: int = 0


@project(Count)
async def counting(event: Said, rows: Transaction) -> None:
    if event.word in BROKEN:
        raise ValueError(f"cannot count {event.word}")
    row = await rows.get(Count, event.item)
    rows.put(replace(row, words=row.words + 1))


class WordsOf(Query[Words | None]):
    item: str


@answer
async def words_of(query: WordsOf, views: Views) -> Words | None:
    return await views.get(Words, query.item)


talk = Service("talk", views=[Words], projections=[counting], queries=[words_of])


def files(folder: Path) -> Settings:
    return Settings(log=f"sqlite:///{folder}/log.db", views=f"sqlite:///{folder}/views.db")


async def say(running: Running, *sayings: str) -> int:
    """Append what ``item:word`` says; nothing in this service decides."""
    said = [Said(item=item, word=word) for item, _, word in [saying.partition(":") for saying in sayings]]
    events = [NewEvent(running.clock.new_id(), "Said", 1, tagger(Said)(each), encode(each)) for each in said]
    outcome = await running.log.append(events)
    return int(getattr(outcome, "last", 0))


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    """Wait until something holds; what never does is a failure, and not a longer wait."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.02)


async def caught_up(running: Running, position: int) -> None:
    for follower in running.declaration.followers:
        await running._positions.reach(follower, position, 30)


async def words(running: Running, item: str) -> tuple[str, ...]:
    found = await Views(running.views).get(Words, item)
    return found.words if found else ()


def test_a_failing_key_is_parked_in_order_and_all_others_flow_on(tmp_path: Path) -> None:
    """What comes after it for the same key waits behind it; mended and retried, it is as if nothing had failed."""

    async def scenario() -> None:
        BROKEN.add("bad")
        async with talk.run(files(tmp_path)) as running:
            position = await say(running, "a:one", "b:one", "a:bad", "b:two", "a:three", "c:one")
            await caught_up(running, position)
            await caught_up(running, await say(running, "a:four", "b:three"))
            assert await words(running, "a") == ("one",)
            assert await words(running, "b") == ("one", "two", "three")
            parked = await parking.parked(running.views, "words_v1")
            assert [(each.key, each.position, bool(each.error)) for each in parked] == [
                ("item:a", 3, True),
                ("item:a", 5, False),
                ("item:a", 7, False),
            ]
            assert "cannot handle bad" in parked[0].error

            # A retry of what is still broken leaves it parked, and counts.
            assert await parking.request_retry(running.views, "words_v1", ["item:a"]) == 3
            await until(lambda: attempts_grow(running, parked[0].attempts))
            assert await words(running, "a") == ("one",)

            BROKEN.clear()
            await parking.request_retry(running.views, "words_v1", ["item:a"])
            await until(lambda: nothing_parked(running, "words_v1"))
            assert await words(running, "a") == ("one", "bad", "three", "four")
            await caught_up(running, await say(running, "a:five"))
            assert await words(running, "a") == ("one", "bad", "three", "four", "five")

    asyncio.run(scenario())


async def attempts_grow(running: Running, before: int) -> bool:
    return (await parking.parked(running.views, "words_v1"))[0].attempts > before


async def nothing_parked(running: Running, follower: str) -> bool:
    return not await parking.parked(running.views, follower)


def test_what_is_parked_outlives_the_process(tmp_path: Path) -> None:
    """The next process knows which keys wait, and goes on parking what comes for them."""

    async def scenario() -> None:
        BROKEN.add("bad")
        async with talk.run(files(tmp_path)) as running:
            await caught_up(running, await say(running, "a:bad", "a:two"))
        async with talk.run(files(tmp_path)) as running:
            await caught_up(running, await say(running, "a:three", "b:one"))
            assert [each.position for each in await parking.parked(running.views, "words_v1", "item:a")] == [1, 2, 3]
            assert await words(running, "b") == ("one",)
            BROKEN.clear()
            assert await parking.discard(running.views, "words_v1", "item:a", 1) == 1
            await parking.request_retry(running.views, "words_v1", ["item:a"])
            await until(lambda: nothing_parked(running, "words_v1"))
            assert await words(running, "a") == ("two", "three")

    asyncio.run(scenario())


def test_what_fails_for_a_moment_is_not_parked(tmp_path: Path) -> None:
    """It is tried again after a pause, and the batch around it is applied once."""

    async def scenario() -> None:
        BROKEN.add("soon")
        async with talk.run(files(tmp_path)) as running:
            position = await say(running, "a:one", "a:soon", "b:one")
            await until(lambda: is_failing(running))
            BROKEN.clear()
            await caught_up(running, position)
            assert await words(running, "a") == ("one", "soon")
            assert not await parking.parked(running.views)
            assert running.failing() == {}

    asyncio.run(scenario())


async def is_failing(running: Running) -> bool:
    return len(running.failing()) == len(running.declaration.followers)


def test_an_event_that_does_not_fit_its_class_is_parked(tmp_path: Path) -> None:
    """Bytes that somebody wrote by other means do not stop the view."""

    async def scenario() -> None:
        async with talk.run(files(tmp_path)) as running:
            await running.log.append([NewEvent("id", "Said", 1, ("item:a",), b'{"item":"a","word":7}')])
            await caught_up(running, await say(running, "a:one", "b:one"))
            assert await words(running, "b") == ("one",)
            assert [each.key for each in await parking.parked(running.views, "words_v1")] == ["item:a", "item:a"]

    asyncio.run(scenario())


def test_a_row_may_be_deleted_and_come_back(tmp_path: Path) -> None:
    """A step that returns nothing leaves no row, and the next event begins anew."""

    async def scenario() -> None:
        async with talk.run(files(tmp_path)) as running:
            await caught_up(running, await say(running, "a:one", "a:forget"))
            assert await words(running, "a") == ()
            await caught_up(running, await say(running, "a:two"))
            assert await words(running, "a") == ("two",)

    asyncio.run(scenario())


def test_two_instances_share_the_work_without_doing_it_twice(tmp_path: Path) -> None:
    """One follows, the other stands by, sees what the first has done, and takes over when it ends."""

    async def scenario() -> None:
        async with start(talk.declaration, files(tmp_path)) as other:
            async with start(talk.declaration, files(tmp_path)) as running:
                position = await say(running, "a:one", "b:one")
                await caught_up(running, position)
                assert await other.ask(WordsOf(item="a")) == Words(key="a", words=("one",))
            position = await say(other, "a:two")
            await caught_up(other, position)
            assert await words(other, "a") == ("one", "two")

    asyncio.run(scenario())


def test_who_has_lost_the_claim_can_store_nothing_more(tmp_path: Path) -> None:
    """A process that was only slow finds out in the transaction in which it would have done harm."""

    async def scenario() -> None:
        views = SqliteViews(str(tmp_path / "views.db"), SystemClock())
        await views.open()
        try:
            slow = await claimed(views, "words_v1", "slow", lease_seconds=0)
            quick = await claimed(views, "words_v1", "quick")
            assert await claiming.attend(views, "third", ["words_v1"], 60) == []
            try:
                await views.commit(Checkpoint(slow, 5))
            except LeaseLost:
                assert await checkpoints.position(views, "words_v1") == 0
            else:
                raise AssertionError("the slow one has stored its checkpoint")
            await views.commit(Checkpoint(quick, 7))
            assert await checkpoints.position(views, "words_v1") == 7
        finally:
            await views.close()

    asyncio.run(scenario())


def test_a_rewound_view_is_filled_again_and_is_the_same(tmp_path: Path) -> None:
    """Whoever follows it loses the claim, takes it anew and begins with the first event."""

    async def scenario() -> None:
        async with talk.run(files(tmp_path)) as running:
            position = await say(running, *[f"{n % 7}:word{n}" for n in range(200)])
            await caught_up(running, position)
            before = [await words(running, str(n)) for n in range(7)]
            await replacing.rewind(running.views, "words_v1", ["words_v1"])
            await until(lambda: is_at(running, position))
            assert [await words(running, str(n)) for n in range(7)] == before

    asyncio.run(scenario())


async def is_at(running: Running, position: int) -> bool:
    return await checkpoints.position(running.views, "words_v1") == position


@given(st.text(max_size=20), st.integers(1, (1 << 32) - 1))
def test_every_key_is_in_exactly_one_of_two_halves(key: str, cut: int) -> None:
    """Nothing is followed twice, and nothing by nobody."""
    assert Segment(0, cut).owns(key) != Segment(cut, 1 << 32).owns(key)
