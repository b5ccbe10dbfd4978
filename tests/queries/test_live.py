"""Live queries: the first answer, then each change, to everybody who watches, and nothing lost in between."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support.tally_service import (
    UNLUCKY,
    Add,
    Added,
    Counter,
    CounterId,
    Greeting,
    Lucky,
    RowOf,
    Share,
    Sum,
    Total,
    TotalOf,
    Totals,
    tally,
    total,
)
from tests.support.waiting import until
from twofold import Query, Service, View, Views, answer, evolve, replace
from twofold.errors import FutureReceipt, InvalidReceipt, NotRunning, ReceiptTimeout, UnknownMessage
from twofold.limits import LiveLimits
from twofold.messages import Receipt
from twofold.service import QueryFailure, Running, Settings, Subscription, Update
from twofold.service.opening import opened as open_service
from twofold.testing import running, service_fixture
from twofold.views import replacing

KEPT_UPDATES = LiveLimits().kept_updates

start = service_fixture(tally)


class Hooked(Query[int]):
    """A question in the middle of whose answer something happens."""


def opened(folder: Path, service: Service = tally) -> AbstractAsyncContextManager[Running]:
    """Open the service on the files in a folder as a process does that only answers: nothing is followed there."""
    settings = Settings(log=f"sqlite:///{folder}/tally.db", views=f"sqlite:///{folder}/tally-views.db")
    return open_service(service.declaration, settings)


async def told(subscription: Subscription[Any]) -> Update[Any]:
    """Return the next answer, which is one."""
    async with asyncio.timeout(30):
        update = await subscription.next()
    assert isinstance(update, Update)
    return update


async def tells_nothing(subscription: Subscription[Any], started: Running) -> None:
    """Check that there is no news, once everything that was sent has been looked at."""
    waiting = asyncio.ensure_future(subscription.next())
    receipt = await started.send(Add(counter="elsewhere"))
    # A second subscriber hears of the views as they are now from the same place as the first.
    with await started.subscribe(subscription._broadcast.query, after=receipt) as other:
        await told(other)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


def test_the_first_answer_and_then_each_change(start: Any) -> None:
    """At once, and then again whenever it is another one; what changes something else is no news."""

    async def scenario() -> None:
        async with start() as started:
            async with aclosing(started.watch(TotalOf())) as updates:
                seen = [(await anext(updates)).answer]
                for _ in range(5):
                    await started.send(Add(counter="b"))
                    await started.send(Add())
                    seen.append((await anext(updates)).answer)
            assert seen == [0, 1, 2, 3, 4, 5]
            with await started.subscribe(TotalOf()) as subscription:
                assert (await told(subscription)).answer == 5
                await tells_nothing(subscription, started)

    asyncio.run(asyncio.wait_for(scenario(), 60))


@pytest.mark.parametrize(
    ("query", "answers"),
    [(RowOf(), 2), (Totals(), 2), (Share(), 2), (Sum(), 2), (Greeting(), 1)],
    ids=lambda value: type(value).__name__,
)
def test_every_kind_of_question_can_be_watched(start: Any, query: Query[Any], answers: int) -> None:
    """Whatever it reads: a row, a condition, two views, a text that names none; or nothing, which never changes."""

    async def scenario() -> None:
        async with start() as started:
            with await started.subscribe(query) as subscription:
                first = await told(subscription)
                receipt = await started.send(Add(amount=3))
                if answers == 1:
                    await tells_nothing(subscription, started)
                    return
                while (update := await told(subscription)).answer != await started.ask(query, after=receipt):
                    pass
                assert update.answer != first.answer

    asyncio.run(asyncio.wait_for(scenario(), 60))


@pytest.mark.parametrize("moment", ["while it is answered", "before it is asked for", "while it is told"])
def test_a_change_at_the_worst_moment_is_not_lost(start: Any, moment: str) -> None:
    """After the views were read for the first answer, and before anybody waits for the next one."""
    hook: list[Callable[[], Awaitable[None]]] = []

    @answer
    async def hooked(query: Hooked, views: Views) -> int:
        found = await total(views, "a")
        if hook:
            await hook.pop()()
        return found

    service = Service("tally", aggregates=[Counter], views=[Total], queries=[hooked])

    async def scenario() -> None:
        async with running(service) as started:

            async def change() -> None:
                receipt = await started.send(Add())
                await started._positions.reach("total_v1", receipt.position, 30)

            if moment == "while it is answered":
                hook.append(change)
            with await started.subscribe(Hooked()) as subscription:
                if moment == "before it is asked for":
                    await change()
                seen = [(await told(subscription)).answer]
                if moment == "while it is told":
                    await change()
                while seen[-1] != 1:
                    seen.append((await told(subscription)).answer)
            assert seen in ([0, 1], [1])

    asyncio.run(asyncio.wait_for(scenario(), 60))


@pytest.mark.parametrize("kept", ["memory", "files"])
def test_a_thousand_subscribers_see_the_same_sequence(tmp_path: Path, kept: str) -> None:
    """One answer is found for all of them, and each is told it: none is missing for anybody, none comes twice."""
    found = 0

    @answer
    async def counted(query: Hooked, views: Views) -> int:
        nonlocal found
        found += 1
        return await total(views, "a")

    service = Service("tally", aggregates=[Counter], views=[Total], queries=[counted])
    seen: list[list[tuple[int, int]]] = [[] for _ in range(1000)]

    async def watch(started: Running, mine: list[tuple[int, int]], ready: asyncio.Semaphore) -> None:
        async with aclosing(started.watch(Hooked())) as updates:
            async for update in updates:
                mine.append((update.answer, update.skipped))
                if len(mine) == 1:
                    ready.release()
                if update.answer == 100:
                    return

    async def scenario() -> None:
        async with running(service, tmp_path if kept == "files" else None) as started:
            ready = asyncio.Semaphore(0)
            watching = [asyncio.create_task(watch(started, mine, ready)) for mine in seen]
            for _ in watching:
                await ready.acquire()
            for _ in range(100):
                await started.send(Add())
            await asyncio.gather(*watching)

    asyncio.run(asyncio.wait_for(scenario(), 60))
    assert all(mine == seen[0] for mine in seen)
    answers = [each for each, _ in seen[0]]
    assert answers == sorted(set(answers))
    assert (answers[0], answers[-1]) == (0, 100)
    assert {skipped for _, skipped in seen[0]} == {0}
    assert len(answers) <= found <= 110


def test_a_slow_subscriber_goes_on_with_the_newest_and_knows_how_many_it_missed(start: Any) -> None:
    """Up to a number they are kept for it, and it misses none; those who keep up are not held up by it."""

    async def scenario() -> None:
        async with start() as started:
            with await started.subscribe(TotalOf()) as quick, await started.subscribe(TotalOf()) as slow:
                assert (await told(quick)).answer == (await told(slow)).answer == 0
                for number in range(1, KEPT_UPDATES + 1):
                    await started.send(Add())
                    assert (await told(quick)).answer == number
                assert [(await told(slow)).answer for _ in range(KEPT_UPDATES)] == list(range(1, KEPT_UPDATES + 1))
                for number in range(1, KEPT_UPDATES + 2):
                    await started.send(Add())
                    assert (await told(quick)).answer == KEPT_UPDATES + number
                update = await told(slow)
                assert (update.answer, update.skipped) == (2 * KEPT_UPDATES + 1, KEPT_UPDATES)
                await started.send(Add())
                assert (await told(quick)).skipped == (await told(slow)).skipped == 0

    asyncio.run(asyncio.wait_for(scenario(), 60))


# Going on after an interruption.


def test_who_comes_back_is_told_what_is_new_only(tmp_path: Path) -> None:
    """Also after the service was started again: the same answer is not repeated, another one comes at once."""

    async def scenario() -> None:
        async with running(tally, tmp_path) as started:
            await started.send(Add())
            async with aclosing(started.watch(TotalOf())) as updates:
                seen = await anext(updates)
                while seen.answer != 1:
                    seen = await anext(updates)
        async with running(tally, tmp_path) as started:
            with await started.subscribe(TotalOf(), since=seen.id) as subscription:
                await tells_nothing(subscription, started)
                await started.send(Add())
                assert (await told(subscription)).answer == 2
            with await started.subscribe(TotalOf(), since=seen.id) as subscription:
                update = await told(subscription)
                assert (update.answer, update.skipped) == (2, 0)
                await tells_nothing(subscription, started)

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_who_comes_back_is_told_nothing_older_than_what_it_knows(tmp_path: Path) -> None:
    """Where the view is behind that, as another database's copy or one that is filled again, it waits until it is there."""

    async def scenario() -> None:
        async with running(tally, tmp_path) as started, aclosing(started.watch(TotalOf())) as updates:
            assert (await anext(updates)).answer == 0
            await started.send(Add(amount=5))
            seen = await anext(updates)
            await replacing.rewind(started.views, "total_v1", ["total_v1"])
            with await started.subscribe(TotalOf(), since=seen.id) as subscription:
                await started.send(Add(amount=5))
                assert (await told(subscription)).answer == 10
            # Who went on watching was not told of the way there either.
            assert (await anext(updates)).answer == 10

    asyncio.run(asyncio.wait_for(scenario(), 60))


@pytest.mark.parametrize(
    ("since", "error", "text"),
    [
        ("tally@7/5cf4a0", FutureReceipt, "beyond the log of tally, which ends at 0"),
        ("others@0/5cf4a0", InvalidReceipt, "is the id of an update of others, and this is tally"),
        ("tally@0", InvalidReceipt, "not the id of an update"),
        ("tally@0,tally@0/5cf4a0", InvalidReceipt, "not the id of an update"),
        ("tally@x/5cf4a0", InvalidReceipt, "not a receipt"),
        ("nonsense", InvalidReceipt, "begin anew"),
    ],
)
def test_an_id_of_something_else_is_refused(since: str, error: type[Exception], text: str) -> None:
    """It is of another service or installation, or no id at all; the error says what to do."""

    async def scenario() -> None:
        async with running(tally) as started:
            with pytest.raises(error, match=text):
                await started.subscribe(TotalOf(), since=since)

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_the_first_answer_includes_what_receipts_stand_for(start: Any) -> None:
    """Whether others watch already or not; what is not reached in time, or never, is said as to who asks once."""

    async def scenario() -> None:
        async with start() as started:
            for number in range(1, 21):
                receipt = await started.send(Add())
                async with aclosing(started.watch(TotalOf(), after=receipt)) as updates:
                    assert (await anext(updates)).answer == number
            with await started.subscribe(TotalOf()):
                for number in range(21, 41):
                    receipt = await started.send(Add())
                    async with aclosing(started.watch(TotalOf(), after=receipt)) as updates:
                        assert (await anext(updates)).answer == number
            with pytest.raises(FutureReceipt):
                await anext(started.watch(TotalOf(), after=Receipt("tally", 1000)))
            with pytest.raises(UnknownMessage, match="Nothing answers Hooked here"):
                await anext(started.watch(Hooked()))

    asyncio.run(asyncio.wait_for(scenario(), 60))


# Followers in other processes.


def test_changes_that_another_process_makes_are_told(tmp_path: Path) -> None:
    """The one that answers follows nothing: it learns from the database that something has moved."""

    async def scenario() -> None:
        async with opened(tmp_path) as asked, aclosing(asked.watch(Share())) as updates:
            assert (await anext(updates)).answer == (0, 0)
            with pytest.raises(ReceiptTimeout):
                await asked.subscribe(Share(), after=await asked.send(Add()), timeout_seconds=0)
            async with running(tally, tmp_path) as following:
                for number in range(2, 12):
                    await following.send(Add())
                    while (await anext(updates)).answer != (1, number):
                        pass

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_a_new_version_of_a_view_is_told_when_it_answers(tmp_path: Path) -> None:
    """Until it is whole, the one before answers and its changes are told; that the new one does from then on is told too."""

    class Total(View, key=CounterId, version=2):
        total: int = 0

        @evolve
        def added(self, event: Added) -> Self:
            return replace(self, total=self.total + 10 * event.amount)

    @answer
    async def total_of(query: TotalOf, views: Views) -> int:
        row = await views.get(Total, query.counter)
        return 0 if row is None else row.total

    newer = Service("tally", aggregates=[Counter], views=[Total], queries=[total_of])

    async def scenario() -> None:
        async with running(tally, tmp_path) as old:
            await old.ask(TotalOf(), after=await old.send(Add()))
            async with opened(tmp_path, newer) as asked, aclosing(asked.watch(TotalOf())) as updates:
                assert (await anext(updates)).answer == 1
                await old.send(Add())
                assert (await anext(updates)).answer == 2
                async with running(newer, tmp_path):
                    assert (await anext(updates)).answer == 20
                    await old.send(Add())
                    assert (await anext(updates)).answer == 30

    asyncio.run(asyncio.wait_for(scenario(), 60))


# When something is wrong.


def test_what_fails_is_told_once_and_so_is_its_end(start: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Those who watch hear of the failure, and then of the next answer; it is logged once, however many they are."""

    async def scenario() -> None:
        async with start() as started:
            subscriptions = [await started.subscribe(Lucky()) for _ in range(10)]
            for subscription in subscriptions:
                assert (await told(subscription)).answer == 0
            await started.send(Add(amount=UNLUCKY))
            for subscription in subscriptions:
                failure = await subscription.next()
                assert isinstance(failure, QueryFailure)
                assert isinstance(failure.error, ZeroDivisionError)
            # Whoever comes now is told at once, as one is who asks.
            with pytest.raises(ZeroDivisionError):
                await started.subscribe(Lucky())
            await started.send(Add(amount=-UNLUCKY))
            for subscription in subscriptions:
                # The same answer as before, and news all the same.
                assert (await told(subscription)).answer == 0
                subscription.__exit__()

    asyncio.run(asyncio.wait_for(scenario(), 60))
    (record,) = [each for each in caplog.records if "those who watch it" in each.getMessage()]
    assert record.exc_info is not None


def test_watching_ends_with_an_error_that_can_be_caught(start: Any) -> None:
    """A loop over the answers ends with what the answer failed with, or with that the service has ended."""

    async def scenario() -> None:
        async with start() as started:
            updates = started.watch(Lucky())
            assert (await anext(updates)).answer == 0
            await started.send(Add(amount=UNLUCKY))
            with pytest.raises(ZeroDivisionError):
                await anext(updates)
            updates = started.watch(TotalOf())
            assert (await anext(updates)).answer == UNLUCKY
            waiting = asyncio.ensure_future(anext(updates))
            await asyncio.sleep(0)
        with pytest.raises(NotRunning, match="tally has ended"):
            await waiting
        with pytest.raises(NotRunning):
            await anext(started.watch(TotalOf()))

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_an_answer_that_finds_the_end_of_something_does_not_end_the_loop_in_silence() -> None:
    """What ends a loop when it is raised by what is looped over is told as the error that it is."""

    @answer
    async def exhausted(query: Hooked, views: Views) -> int:
        raise StopAsyncIteration

    async def scenario() -> None:
        async with running(Service("tally", queries=[exhausted])) as started:
            with pytest.raises(StopAsyncIteration):
                await started.subscribe(Hooked())
            with pytest.raises(RuntimeError, match="StopAsyncIteration"):
                async for _ in started.watch(Hooked()):
                    pass

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_nothing_is_left_of_those_who_went(start: Any) -> None:
    """Without anybody who watches, nothing is asked of the database, and no task runs."""

    async def scenario() -> None:
        async with start() as started:
            for query in (TotalOf(), TotalOf(counter="b"), Totals()):
                async with aclosing(started.watch(query)) as updates:
                    await anext(updates)
            waiting = asyncio.ensure_future(anext(started.watch(TotalOf())))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

            async def none_is_left() -> bool:
                return not [task for task in asyncio.all_tasks() if re.match("tally (live|looks)", task.get_name())]

            await until(none_is_left)

    asyncio.run(asyncio.wait_for(scenario(), 60))
