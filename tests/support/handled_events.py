"""What becomes of events that are given to event handlers: one suite for services on every database."""

import asyncio
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from examples.bank import Account, Deposit, Deposited
from tests.support.waiting import until
from twofold import HandlerContext, HandlerTransaction, Rejected, Service, handle
from twofold.errors import InvalidMessage, LogUnavailable, Unrecoverable
from twofold.followers import Checkpoint, Discard, Failure, Parked, Policy, claiming, parking, retries
from twofold.limits import HandlerLimits, Limits
from twofold.log import NewEvent
from twofold.messages import Receipt, current
from twofold.processes import CommandSent
from twofold.service import ROLES, Role, Running, Settings
from twofold.telemetry.events import (
    FollowerDiscarded,
    FollowerParked,
    FollowerRetried,
    FollowerUnparked,
    OutageBegan,
    OutageEnded,
    TelemetryEvent,
)
from twofold.testing import MovableClock

Places: TypeAlias = Callable[[str], Settings]
"""Returns where a service keeps what it has, by its name."""

FOLLOWER = "handler:tell"


class Api:
    """Something outside that is called: it keeps what came, and fails as it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.done: list[tuple[str, int]] = []
        self.ids: set[str] = set()
        self.fails: Callable[[Deposited], BaseException | None] = lambda event: None
        self.held: asyncio.Event | None = None
        self.at_once = self.most_at_once = 0

    async def call(self, event: Deposited, context: HandlerContext) -> None:
        """Take note of the call, wait if calls are held, and fail or be done."""
        self.calls.append((event.account, event.amount))
        self.ids.add(context.id)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await (self.held.wait() if self.held else asyncio.sleep(0))
        finally:
            self.at_once -= 1
        if (error := self.fails(event)) is not None:
            raise error
        self.done.append((event.account, event.amount))

    async def called(self, times: int) -> None:
        """Return once it was called so many times."""

        async def was() -> bool:
            return len(self.calls) >= times

        await until(was)

    async def has_done(self, times: int) -> None:
        """Return once so many calls have come to a good end."""

        async def has() -> bool:
            return len(self.done) >= times

        await until(has)


class Down(Exception):
    """The API does not answer."""


async def deposit(running: Running, account: str, amount: int) -> Receipt:
    return await running.send(Deposit(account=account, amount=amount))


async def deposited(running: Running, keys: int, each: int = 1) -> None:
    """Deposit amounts from 1 on, so many to each account."""
    for amount in range(1, each + 1):
        await asyncio.gather(*[deposit(running, f"a{key}", amount) for key in range(keys)])


async def parked(running: Running) -> list[Parked]:
    return await parking.parked(running.views, FOLLOWER)


async def is_through(running: Running) -> bool:
    """Say whether the handler is where the log ends, and nothing waits."""
    head = await running.log.head()
    mine = [each for each in await running.progress() if each.follower == FOLLOWER]
    return bool(mine) and all(each.position >= head for each in mine) and not await parked(running)


class Torn(BaseException):
    """Some libraries raise what nobody is to catch."""


class HandledEvents:
    """Derive a class from it whose module has a fixture ``places``."""

    @pytest.fixture
    def start(self, places: Places) -> Callable[..., AbstractAsyncContextManager[Running]]:
        """Return what runs a bank whose deposits are told to an API, on the same databases each time."""

        @asynccontextmanager
        async def run(
            api: Api, handler: Any = None, clock: Any = None, roles: Collection[Role] = ROLES, **limits: Any
        ) -> AsyncIterator[Running]:
            @asynccontextmanager
            async def opened() -> AsyncIterator[Api]:
                yield api

            service = Service("bank", aggregates=[Account], handlers=[handler or telling()], resources={Api: opened})
            settings = replace(places("bank"), limits=Limits(handlers=HandlerLimits(**limits)))
            async with service.run(settings, clock=clock, roles=roles) as running:
                yield running

        return run

    def test_events_of_a_key_come_in_order_and_many_keys_at_once_up_to_the_limit(self, start: Any) -> None:
        """Each event once, and each with an id of its own."""
        api = Api()

        async def scenario() -> None:
            async with start(api, concurrent_keys=3) as running:
                await deposited(running, keys=10, each=4)
                await api.has_done(40)
                await until(lambda: is_through(running))

        asyncio.run(scenario())
        assert Counter(api.done) == {(f"a{key}", amount): 1 for key in range(10) for amount in range(1, 5)}
        for key in range(10):
            assert [amount for account, amount in api.done if account == f"a{key}"] == [1, 2, 3, 4]
        assert len(api.ids) == 40
        assert 1 < api.most_at_once <= 3

    def test_retries_are_counted_across_restarts(self, start: Any) -> None:
        """With one immediate retry and two delayed ones an event is tried six times, and then parked for good."""
        api, clock = Api(), MovableClock()
        api.fails = lambda event: Down("no answer")
        handler = telling(policy=retries(immediate=1, delays_seconds=[60, 3600]))
        told: list[TelemetryEvent] = []

        async def scenario() -> None:
            for attempts in (2, 4, 6, 6):
                async with start(api, handler, clock) as running:
                    running.telemetry.attach(lambda event, service: told.append(event))
                    if attempts == 2:
                        await deposit(running, "ann", 1)

                    async def are_noted(running: Running = running, attempts: int = attempts) -> bool:
                        return [each.attempts for each in await parked(running)] == [attempts]

                    await until(are_noted)
                clock.move(hours=2)
            async with start(api, handler, clock) as running:
                (left,) = await parked(running)
                assert (left.key, left.error, left.retry_at_us) == ("account:ann", "Down: no answer", 0)

        asyncio.run(scenario())
        assert len(api.calls) == 6
        assert [event.attempts for event in told if isinstance(event, FollowerRetried)] == [1, 2, 3, 4, 5]
        assert [event.attempts for event in told if isinstance(event, FollowerParked)] == [6]

    def test_attempts_are_counted_however_often_the_process_is_killed(
        self, start: Any, places: Places, tmp_path: Path
    ) -> None:
        """By kill -9, between two attempts: with one immediate retry and two delayed ones there are six, and no more."""
        calls, settings = tmp_path / "calls", places("bank")
        command = [
            sys.executable,
            "-m",
            "tests.support.telling_process",
            str(settings.log),
            str(settings.views),
            str(calls),
        ]

        async def scenario() -> None:
            async with start(Api(), roles=["commands"]) as running:
                await deposit(running, "ann", 1)
            async with start(Api(), telling(name="other"), roles=["processes"]) as running:
                for attempts in (2, 4, 6):

                    async def are_noted(attempts: int = attempts) -> bool:
                        return [each.attempts for each in await parked(running)] == [attempts]

                    with killed_in_the_end(command):
                        await until(are_noted)
                assert [each.retry_at_us for each in await parked(running)] == [0]

        asyncio.run(scenario())
        assert calls.read_text().splitlines() == [f"ann {attempt}" for attempt in range(1, 7)]

    @pytest.mark.parametrize("error", [Unrecoverable("no such address"), InvalidMessage("bad"), Rejected("no")])
    def test_what_cannot_succeed_is_not_tried_again(self, start: Any, error: Exception) -> None:
        """It is parked after the first attempt; other keys go on."""
        api = Api()
        api.fails = lambda event: error if event.account == "ann" else None

        async def scenario() -> None:
            async with start(api) as running:
                await deposit(running, "ann", 1)
                await deposit(running, "bob", 1)
                await api.has_done(1)
                await until(lambda: parked(running))
                (left,) = await parked(running)
                assert (left.key, left.attempts, left.retry_at_us) == ("account:ann", 1, 0)

        asyncio.run(scenario())
        assert sorted(api.calls) == [("ann", 1), ("bob", 1)]

    def test_a_failure_is_one_whatever_its_class_derives_from(self, start: Any) -> None:
        """It is parked, and all others go on."""
        api = Api()
        api.fails = lambda event: Torn("apart") if event.account == "ann" else None

        async def scenario() -> None:
            async with start(api, telling(policy=retries(0, []))) as running:
                await deposit(running, "ann", 1)
                await deposit(running, "bob", 1)
                await api.has_done(1)
                await until(lambda: parked(running))
                (left,) = await parked(running)
                assert (left.key, left.error) == ("account:ann", "Torn: apart")

        asyncio.run(scenario())

    def test_an_event_is_not_done_whose_handling_was_cancelled(
        self, start: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A handler that cancels the task it runs in is told of, and gets its event again."""
        done: list[int] = []

        @handle(start="first", name="tell")
        async def tell(event: Deposited, api: Api) -> None:
            task = asyncio.current_task()
            if task is not None and not done:
                done.append(0)
                task.cancel()
                await asyncio.sleep(0)
            done.append(event.amount)

        async def is_done() -> bool:
            return done == [0, 1]

        async def scenario() -> None:
            async with start(Api(), tell) as running:
                await deposit(running, "ann", 1)
                await until(is_done)

        asyncio.run(scenario())
        assert "cancelled the task it was handled in" in caplog.text

    def test_bytes_that_do_not_fit_are_parked_as_they_are(self, start: Any) -> None:
        """The handler is not called; what is after it goes on."""
        api = Api()
        data = b'{"account":"ann","amount":"\\u0000 much"}'

        async def scenario() -> None:
            async with start(api) as running:
                await running.log.append([NewEvent("odd", "Deposited", 1, ("account:ann",), data)])
                await deposit(running, "bob", 1)
                await api.has_done(1)
                await until(lambda: parked(running))
                (left,) = await parked(running)
                assert (left.attempts, left.retry_at_us, left.error[:15]) == (1, 0, "ValidationError")
                (kept,) = await running.log.read(after=left.position - 1, limit=1)
                assert kept.data == data

        asyncio.run(scenario())
        assert api.calls == [("bob", 1)]

    def test_a_key_that_waits_keeps_its_order_and_all_others_go_on(self, start: Any) -> None:
        """Later events of the key wait behind the one that failed, and come after it when that has succeeded."""
        api, clock = Api(), MovableClock()
        api.fails = lambda event: Down() if event.account == "ann" and clock.now < late else None
        late = clock.now.replace(minute=1)
        told: list[TelemetryEvent] = []

        async def scenario() -> None:
            async with start(api, telling(policy=retries(0, [60])), clock) as running:
                running.telemetry.attach(lambda event, service: told.append(event))
                await deposit(running, "ann", 1)
                await deposit(running, "bob", 1)
                await deposit(running, "ann", 2)
                await deposit(running, "bob", 2)
                await api.has_done(2)

                async def are_behind() -> bool:
                    return len(await parked(running)) == 2

                await until(are_behind)
                assert [account for account, _ in api.done] == ["bob", "bob"]
                clock.move(minutes=1)
                await api.has_done(4)
                await until(lambda: is_through(running))
                await deposit(running, "ann", 3)
                await api.has_done(5)

        asyncio.run(scenario())
        assert [amount for account, amount in api.done if account == "ann"] == [1, 2, 3]
        assert any(isinstance(event, FollowerUnparked) for event in told)

    @pytest.mark.parametrize("policy", [retries(), retries(0, [60])], ids=["usual", "impatient"])
    def test_an_outage_of_ten_minutes_parks_nothing(
        self, start: Any, caplog: pytest.LogCaptureFixture, policy: Policy
    ) -> None:
        """What is called is down, then back: each event is done once, and the log has one line each way."""
        caplog.set_level(logging.WARNING, "twofold.followers")
        api, clock = Api(), MovableClock()
        back = clock.now.replace(minute=10)
        api.fails = lambda event: Down("no answer") if clock.now < back else None
        told: list[TelemetryEvent] = []

        async def scenario() -> None:
            async with start(api, telling(policy=policy), clock) as running:
                running.telemetry.attach(lambda event, service: told.append(event))
                await deposited(running, keys=40, each=2)
                while clock.now < back:
                    calls = len(api.calls)
                    clock.move(seconds=15)
                    await api.called(calls + 1)
                clock.move(minutes=1)
                await api.has_done(80)
                await until(lambda: is_through(running))

        asyncio.run(scenario())
        assert set(Counter(api.done).values()) == {1}
        # One at a time was tried, and not all of them again and again.
        assert len(api.calls) < 80 + 40 + 70
        lines = [each.getMessage() for each in caplog.records if each.name == "twofold.followers"]
        assert [line[:30] for line in lines] == ["handler:tell fails for each of", "handler:tell succeeds again, a"]
        assert [type(event) for event in told if isinstance(event, OutageBegan | OutageEnded)] == [
            OutageBegan,
            OutageEnded,
        ]
        assert not [event for event in told if isinstance(event, FollowerParked)]

    def test_one_key_alone_outlasts_ten_minutes_too(self, start: Any) -> None:
        """Where there is little to do nobody can say that it is an outage, and the default policy has patience enough."""
        api, clock = Api(), MovableClock()
        back = clock.now.replace(minute=10)
        api.fails = lambda event: Down("no answer") if clock.now < back else None

        async def scenario() -> None:
            async with start(api, clock=clock) as running:
                await deposit(running, "ann", 1)

                async def waits() -> bool:
                    return any(each.retry_at_us > 1 for each in await parked(running))

                for _ in range(80):
                    if api.done:
                        break
                    await until(waits)
                    (left,) = await parked(running) or (None,)
                    if left is not None:
                        calls = len(api.calls)
                        clock.move(seconds=max(0.0, (left.retry_at_us - clock.now_us()) / 1e6))
                        await api.called(calls + 1)
                await until(lambda: is_through(running))

        asyncio.run(scenario())
        assert api.done == [("ann", 1)]

    def test_what_is_discarded_is_told_and_does_not_hold_up_its_key(
        self, start: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A policy may leave an event out, for a reason."""
        api = Api()
        api.fails = lambda event: Down() if event.amount == 1 else None
        told: list[TelemetryEvent] = []

        def policy(failure: Failure) -> Any:
            return Discard("nobody waits for it")

        async def scenario() -> None:
            async with start(api, telling(policy=policy)) as running:
                running.telemetry.attach(lambda event, service: told.append(event))
                await deposit(running, "ann", 1)
                await deposit(running, "ann", 2)
                await api.has_done(1)
                await until(lambda: is_through(running))

        asyncio.run(scenario())
        assert api.calls == [("ann", 1), ("ann", 2)]
        assert "leaves out position 1 of account:ann: nobody waits for it" in caplog.text
        assert [event.attempts for event in told if isinstance(event, FollowerDiscarded)] == [1]

    @pytest.mark.parametrize("answer", ["nonsense", None])
    def test_a_policy_that_is_wrong_parks(
        self, start: Any, caplog: pytest.LogCaptureFixture, answer: str | None
    ) -> None:
        """It raises, or returns something else: what failed is set aside, and nothing stands still."""
        api = Api()
        api.fails = lambda event: Down()

        def policy(failure: Failure) -> Any:
            return answer or 1 / 0

        async def scenario() -> None:
            async with start(api, telling(policy=policy)) as running:
                await deposit(running, "ann", 1)
                await until(lambda: parked(running))
                assert [each.retry_at_us for each in await parked(running)] == [0]

        asyncio.run(scenario())
        assert "The policy of handler:tell" in caplog.text

    def test_a_service_that_stops_lets_end_what_is_under_way_and_nothing_is_done_again(self, start: Any) -> None:
        """What had begun comes to its end; what had not is done by whoever follows next, in order."""
        api = Api()

        async def scenario() -> None:
            api.held = asyncio.Event()
            async with start(api, roles=["commands"]) as running:
                await deposited(running, keys=9, each=3)
            async with start(api, concurrent_keys=3) as running:
                await api.called(3)
                asyncio.get_running_loop().call_later(0.2, api.held.set)
            assert len(api.done) == len(api.calls) == 3
            api.held = None
            async with start(api) as running:
                await api.has_done(27)
                await until(lambda: is_through(running))

        asyncio.run(scenario())
        assert set(Counter(api.calls).values()) == {1}
        for key in range(9):
            assert [amount for account, amount in api.done if account == f"a{key}"] == [1, 2, 3]

    def test_a_service_that_stops_does_not_wait_for_an_outage_to_end(self, start: Any) -> None:
        """Nobody waits for a probe then; nothing is parked for good."""
        api, clock = Api(), MovableClock()
        api.fails = lambda event: Down()

        async def scenario() -> None:
            async with start(api, clock=clock, finishing_seconds=3600) as running:
                await deposited(running, keys=20)
                await api.called(20)
            api.fails = lambda event: None
            async with start(api, clock=clock) as running:
                clock.move(hours=1)
                await api.has_done(20)
                await until(lambda: is_through(running))

        asyncio.run(scenario())
        assert set(Counter(api.done).values()) == {1}

    def test_a_checkpoint_that_is_not_stored_has_nothing_done_again(self, start: Any) -> None:
        """As long as the process goes on: what it has done it knows, whether the database does or not."""
        api = Api()

        async def scenario() -> None:
            async with start(api) as running:
                views: Any = running.views
                commit, failures = views.commit, [0]

                async def fails_at_times(checkpoint: Any, writes: Any = ()) -> None:
                    if checkpoint.claim.follower == FOLLOWER and checkpoint.position and failures[0] < 3:
                        failures[0] += 1
                        if failures[0] == 2:
                            await commit(checkpoint, writes)
                        raise LogUnavailable("the answer was lost")
                    await commit(checkpoint, writes)

                views.commit = fails_at_times
                await deposited(running, keys=5, each=2)
                await api.has_done(10)
                await until(lambda: is_through(running))
                await deposit(running, "a0", 3)
                await until(lambda: is_through(running))
                assert failures == [3]

        asyncio.run(scenario())
        assert set(Counter(api.calls).values()) == {1}

    def test_segments_are_split_and_merged_while_it_works(self, start: Any) -> None:
        """Who loses the lease in the middle stores nothing; each event is handled at least once, each key in order."""
        api = Api()

        async def scenario() -> None:
            async with start(api, batch_events=5) as running:
                await deposit(running, "b", 1)
                await api.has_done(1)
                for round_ in range(4):
                    sending = asyncio.ensure_future(deposited(running, keys=8, each=3))
                    await api.called(len(api.calls) + 1)
                    if round_ % 2:
                        await claiming.merge(running.views, FOLLOWER)
                    else:
                        await claiming.split(running.views, FOLLOWER, 3)
                    running.coordinator.look_again()
                    await sending
                    await until(lambda: is_through(running))

        asyncio.run(scenario())
        assert set(api.done) == {(f"a{key}", amount) for key in range(8) for amount in (1, 2, 3)} | {("b", 1)}
        assert min(Counter(api.done).values()) >= 1
        for key in range(8):
            assert in_order([amount for account, amount in api.done if account == f"a{key}"])

    def test_a_retry_does_not_overtake_the_batch_that_is_done_again(self, start: Any) -> None:
        """A process was killed after it had noted a failure, and before its checkpoint: what came before comes before."""
        api = Api()

        async def scenario() -> None:
            async with start(api) as running:
                await deposit(running, "ann", 1)
                await until(lambda: is_through(running))
            async with start(api, handler=telling(name="other")) as running:
                await deposit(running, "ann", 2)
                last = await deposit(running, "ann", 3)
                await api.has_done(4)
            api.done.clear()
            async with start(api, handler=telling(name="other")) as running:
                claim = (await claiming.attend(running.views, "killed", [FOLLOWER], 0.001))[0]
                note = Parked(FOLLOWER, "account:ann", last.position, "Down: ", 1, 1, 1)
                await running.views.commit(Checkpoint(claim, claim.position, (note,)))
            async with start(api) as running:
                await api.has_done(2)
                await until(lambda: is_through(running))

        asyncio.run(scenario())
        assert api.done == [("ann", 2), ("ann", 3)]

    def test_what_a_handler_returns_is_sent_once(self, start: Any) -> None:
        """However often the event is handled; it carries on the correlation, and the event is its cause."""
        api = Api()
        seen: list[Any] = []

        @handle(start="first", name="tell")
        async def interest(event: Deposited, api: Api, context: HandlerContext) -> list[Deposit] | None:
            seen.append((current.get(), context.metadata))
            await api.call(event, context)
            if event.amount >= 100:
                return [Deposit(account=event.account, amount=event.amount // 100), Deposit(account="tax", amount=1)]
            return None

        async def scenario() -> None:
            async with start(api, interest) as running:
                views: Any = running.views
                commit, failures = views.commit, [0]

                async def fails_once(checkpoint: Any, writes: Any = ()) -> None:
                    if checkpoint.claim.follower == FOLLOWER and checkpoint.position and not failures[0]:
                        failures[0] += 1
                        raise LogUnavailable("the answer was lost")
                    await commit(checkpoint, writes)

                views.commit = fails_once
                await running.send(Deposit(account="ann", amount=200), id="first")
                await api.has_done(3)
                await until(lambda: is_through(running))
                events = await running.log.read()
                assert [event.type for event in events].count(CommandSent.message_name) == 2
                assert sorted(api.done) == [("ann", 2), ("ann", 200), ("tax", 1)]
                assert {event.metadata.correlation for event in events if event.type == "Deposited"} == {"first"}
                (cause, *_) = events = [
                    event for event in events if event.type in ("Deposited", CommandSent.message_name)
                ]
                assert {event.metadata.causation for event in events[1:3]} == {cause.id}

        asyncio.run(scenario())
        assert {inherited.correlation for inherited, _ in seen} == {given.correlation for _, given in seen} == {"first"}
        assert seen[0][1].causation == "first" != seen[0][0].causation

    def test_what_a_handler_writes_is_stored_exactly_once(self, start: Any) -> None:
        """In one transaction with its checkpoint: whatever fails, and wherever, each event counts once."""
        api = Api()
        failing = Counter[tuple[str, int]]()

        @handle(start="first", name="tell", policy=retries(5, []))
        async def tally(event: Deposited, api: Api, database: HandlerTransaction, context: HandlerContext) -> None:
            database.execute(text("CREATE TABLE IF NOT EXISTS tally (account VARCHAR(80) PRIMARY KEY, amount INTEGER)"))
            add = "INSERT INTO tally VALUES (:account, :amount)"
            add += " ON CONFLICT (account) DO UPDATE SET amount = tally.amount + :amount"
            database.execute(text(add).bindparams(account=event.account, amount=event.amount))
            failing[event.account, event.amount] += 1
            if failing[event.account, event.amount] == 1 and event.amount == 2:
                raise Down
            await api.call(event, context)

        async def scenario() -> None:
            async with start(api, tally) as running:
                views: Any = running.views
                commit, calls = views.commit, [0]

                async def fails_at_times(checkpoint: Any, writes: Any = ()) -> None:
                    if checkpoint.claim.follower == FOLLOWER:
                        calls[0] += 1
                        if calls[0] % 7 == 3:
                            await commit(checkpoint, writes)
                        if calls[0] % 7 in (3, 5):
                            raise LogUnavailable("the answer was lost")
                    await commit(checkpoint, writes)

                views.commit = fails_at_times
                await deposited(running, keys=2, each=4)
                await until(lambda: is_through(running))
            async with start(api, tally) as running:
                rows = await running.views.select(text("SELECT account, amount FROM tally ORDER BY account"))
                assert [tuple(row) for row in rows] == [("a0", 10), ("a1", 10)]

        asyncio.run(scenario())

    def test_what_the_database_refuses_of_a_handler_is_parked(self, start: Any) -> None:
        """A statement that is wrong is the fault of its event, and holds up no other key."""
        api = Api()

        @handle(start="first", name="tell")
        async def write(event: Deposited, api: Api, database: HandlerTransaction, context: HandlerContext) -> None:
            database.execute(text("CREATE TABLE IF NOT EXISTS positive (amount INTEGER CHECK (amount < 5))"))
            database.execute(text("INSERT INTO positive VALUES (:amount)").bindparams(amount=event.amount))
            await api.call(event, context)

        async def scenario() -> None:
            async with start(api, write) as running:
                await deposit(running, "ann", 7)
                await deposit(running, "bob", 1)
                await api.has_done(2)
                await until(lambda: parked(running))

                async def is_written() -> bool:
                    try:
                        rows = await running.views.select(text("SELECT amount FROM positive"))
                    except Exception:
                        return False
                    return [tuple(row) for row in rows] == [(1,)]

                await until(is_written)
                assert [(each.key, each.attempts) for each in await parked(running)] == [("account:ann", 1)]

        asyncio.run(scenario())


@contextmanager
def killed_in_the_end(command: Sequence[str]) -> Iterator[None]:
    """Run a process, and kill it."""
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def telling(**options: Any) -> Any:
    """Return a handler that tells the API of each deposit."""

    @handle(**{"start": "first", "name": "tell"} | options)
    async def tell(event: Deposited, api: Api, context: HandlerContext) -> None:
        await api.call(event, context)

    return tell


def in_order(amounts: list[int]) -> bool:
    """Say whether amounts went up by one, were said again from an earlier one on, or began anew."""
    return all(later <= earlier + 1 for earlier, later in pairwise(amounts))
