"""What a log's store must hold to, as tests. Whoever writes an adapter runs them on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import pytest

from twofold.clock import SystemClock
from twofold.errors import LogUnavailable
from twofold.log import (
    ALL,
    Appended,
    Conflict,
    Criteria,
    Criterion,
    Guard,
    Log,
    NewEvent,
    Outcome,
    Recorded,
    Snapshot,
    Store,
)

T = TypeVar("T")

_CLOCK = SystemClock()
_ODD_TAGS = ("account:o'brien", "account:a|b", 'account:"x"', "account:50%", "a:b:c", "account:\n", "account:Ärger 🙂")


def event(type_: str = "Deposited", *tags: str, data: bytes = b"{}", metadata: bytes = b"{}") -> NewEvent:
    """Return an event for a test."""
    return NewEvent(_CLOCK.new_id(), type_, 1, tags, data, metadata)


def by_tag(*tags: str, types: Sequence[str] = ()) -> Criteria:
    """Return criteria for one set of tags."""
    return (Criterion(types=tuple(types), tags=tags),)


class LogConformance:
    """Subclass it, and give it stores::

        class TestMyStore(LogConformance):
            @pytest.fixture
            def stores(self, tmp_path):
                return lambda: MyStore(tmp_path / "log")

    Each call has to return a new instance on the same data, as another process would have.
    """

    @pytest.fixture
    def stores(self) -> Callable[[], Store]:
        """Give a function that returns a new store on the same data."""
        raise NotImplementedError("Override the fixture `stores`.")

    def run(self, stores: Callable[[], Store], scenario: Callable[..., Awaitable[T]], instances: int = 1) -> T:
        """Run a scenario with so many logs on the same data, and close them."""

        async def whole() -> T:
            logs = [await Log.open(stores(), _CLOCK) for _ in range(instances)]
            try:
                return await scenario(*logs)
            finally:
                for log in logs:
                    await log.close()

        return asyncio.run(whole())

    # Positions and reading.

    def test_positions_are_gapless_from_one_in_the_order_of_appends(self, stores: Any) -> None:
        """A checkpoint can be one integer because nothing is ever between two positions."""

        async def scenario(log: Log) -> None:
            assert await log.head() == 0
            assert await log.append([event("A"), event("B")]) == Appended(1, 2)
            assert await log.append([event("C")]) == Appended(3, 3)
            assert [(e.position, e.type) for e in await log.read()] == [(1, "A"), (2, "B"), (3, "C")]
            assert await log.head() == 3

        self.run(stores, scenario)

    def test_an_event_comes_back_as_it_was_appended(self, stores: Any) -> None:
        """Ids, tags, data and metadata are kept to the byte, whatever characters are in them."""
        data = '{"text": "Ärger\\u0000 🙂", "n": 1.0}'.encode() + b" " * 100_000
        new = NewEvent("some-id", "Noted", 7, _ODD_TAGS, data, b'{"correlation":"c-1","actor":"ann"}')

        async def scenario(log: Log) -> Recorded:
            await log.append([new])
            return (await log.read())[0]

        found = self.run(stores, scenario)
        assert (found.id, found.type, found.version, found.tags) == ("some-id", "Noted", 7, _ODD_TAGS)
        assert (found.data, found.metadata.correlation, found.metadata.actor) == (data, "c-1", "ann")
        assert found.recorded_at_us > 0

    @pytest.mark.parametrize("tag", _ODD_TAGS)
    def test_a_tag_of_odd_characters_is_found_and_no_other(self, stores: Any, tag: str) -> None:
        """Tags are values, not patterns and not parts of statements."""

        async def scenario(log: Log) -> list[int]:
            await log.append([event("A", each) for each in _ODD_TAGS])
            return [e.position for e in await log.read(by_tag(tag))]

        assert self.run(stores, scenario) == [_ODD_TAGS.index(tag) + 1]

    @pytest.mark.parametrize(
        ("criteria", "expected"),
        [
            (ALL, [1, 2, 3, 4, 5]),
            ((), []),
            ((Criterion(types=("A",)),), [1, 3]),
            ((Criterion(types=("A", "B")),), [1, 2, 3, 4]),
            ((Criterion(tags=("x:1",)),), [1, 2, 5]),
            ((Criterion(tags=("x:1", "y:1")),), [2, 5]),
            ((Criterion(tags=("y:1", "x:1")),), [2, 5]),
            ((Criterion(types=("A",), tags=("x:1",)),), [1]),
            ((Criterion(types=("A", "C"), tags=("x:1",)),), [1, 5]),
            ((Criterion(types=("C",), tags=("x:1", "y:1")),), [5]),
            ((Criterion(types=("A",)), Criterion(tags=("y:1",))), [1, 2, 3, 5]),
            ((Criterion(types=("A",), tags=("x:2",)), Criterion(types=("B",), tags=("x:1",))), [2, 3]),
            ((Criterion(types=("Z",)), Criterion(tags=("z:1",))), []),
        ],
    )
    def test_criteria_select_as_the_specification_says(
        self, stores: Any, criteria: Criteria, expected: list[int]
    ) -> None:
        """Types are alternatives, tags are all required, and criteria are alternatives (dcb.events)."""

        async def scenario(log: Log) -> list[list[int]]:
            await log.append([event("A", "x:1"), event("B", "x:1", "y:1"), event("A", "x:2")])
            await log.append([event("B"), event("C", "y:1", "x:1")])
            forwards = [e.position for e in await log.read(criteria)]
            backwards = [e.position for e in await log.read(criteria, backwards=True)]
            return [forwards, backwards[::-1]]

        assert self.run(stores, scenario) == [expected, expected]

    def test_reading_goes_on_after_a_position_and_stops_at_the_limit(self, stores: Any) -> None:
        """Pages, forwards and backwards, give every event once."""

        async def scenario(log: Log) -> None:
            await log.append([event("A" if n % 2 else "B", "x:1") for n in range(1, 11)])
            for criteria, all_ in ((ALL, list(range(1, 11))), (by_tag("x:1", types=["A"]), [1, 3, 5, 7, 9])):
                forwards: list[int] = []
                while page := await log.read(criteria, forwards[-1] if forwards else 0, 3):
                    forwards += [e.position for e in page]
                backwards = [e.position for e in await log.read(criteria, 0, 3, backwards=True)]
                while page := await log.read(criteria, backwards[-1], 3, backwards=True):
                    backwards += [e.position for e in page]
                assert forwards == all_
                assert backwards == all_[::-1]

        self.run(stores, scenario)

    @pytest.mark.parametrize("size", [65, 5000])
    def test_a_large_append_is_one(self, stores: Any, size: int) -> None:
        """However many events it has, and however many values that makes."""

        async def scenario(log: Log) -> None:
            events = [event("A", f"x:{n}", f"y:{n % 7}") for n in range(size)]
            assert await log.append(events, Guard(ALL)) == Appended(1, size)
            assert len(await log.read(ALL, 0, size + 1)) == size
            assert [e.position for e in await log.read(by_tag(f"x:{size - 1}", f"y:{(size - 1) % 7}"))] == [size]

        self.run(stores, scenario)

    # Conditions.

    def test_an_append_fails_if_something_selected_came_after_the_position(self, stores: Any) -> None:
        """The optimistic lock: nothing has changed what was decided on."""

        async def scenario(log: Log) -> None:
            await log.append([event("A", "x:1")])
            assert isinstance(await log.append([event("A", "x:1")], Guard(by_tag("x:1"), 0)), Conflict)
            assert await log.append([event("A", "x:1")], Guard(by_tag("x:1"), 1)) == Appended(2, 2)
            assert await log.append([event("A", "x:1")], Guard(by_tag("x:2"), 0)) == Appended(3, 3)
            assert await log.append([event("A")], Guard(by_tag("x:1", types=["B"]), 0)) == Appended(4, 4)
            assert isinstance(await log.append([event("B")], Guard((Criterion(types=("A",)),), 3)), Conflict)
            assert isinstance(await log.append([event("B")], Guard(ALL, 3)), Conflict)
            assert await log.append([event("B")], Guard(ALL, 4)) == Appended(5, 5)
            assert await log.append([event("B")], Guard((), 0)) == Appended(6, 6)

        self.run(stores, scenario)

    def test_every_one_of_several_conditions_has_to_hold(self, stores: Any) -> None:
        """A decision over several states was made on each of them, each as of its own position."""

        async def scenario(log: Log) -> None:
            await log.append([event("A", "x:1"), event("A", "x:2")])
            held = (Guard(by_tag("x:1"), 1), Guard(by_tag("x:2"), 2))
            assert await log.append([event("A", "x:1", "x:2")], *held) == Appended(3, 3)
            assert isinstance(await log.append([event("A")], *held), Conflict)
            one_broken = (Guard(by_tag("x:1"), 3), Guard(by_tag("x:2"), 2))
            assert isinstance(await log.append([event("A")], *one_broken), Conflict)

        self.run(stores, scenario)

    def test_a_refused_append_leaves_nothing_and_fails_alone(self, stores: Any) -> None:
        """Those before and after it in the same batch are stored, without a gap."""

        async def scenario(log: Log) -> None:
            await log.append([event("A", "x:1")])
            outcomes = await _all(
                log.submit([event("B")]),
                log.submit([event("C", "x:1"), event("D")], Guard(by_tag("x:1"), 0)),
                log.submit([event("E")]),
            )
            assert [type(outcome) for outcome in outcomes] == [Appended, Conflict, Appended]
            assert [e.type for e in await log.read()] == ["A", "B", "E"]

        self.run(stores, scenario)

    def test_conditions_see_the_earlier_appends_of_a_batch(self, stores: Any) -> None:
        """Appends take effect in the order in which they were queued, in one commit or in many."""

        async def scenario(log: Log) -> None:
            guard = Guard(by_tag("x:1"), 0)
            first, second = await _all(log.submit([event("A", "x:1")], guard), log.submit([event("A", "x:1")], guard))
            assert (type(first), type(second)) == (Appended, Conflict)

        self.run(stores, scenario)

    @pytest.mark.parametrize("instances", [1, 3])
    def test_of_appends_under_one_condition_exactly_one_gets_through(self, stores: Any, instances: int) -> None:
        """Whoever else tries at the same moment, in this process or another one."""

        async def scenario(*logs: Log) -> None:
            for round_ in range(10):
                key = f"x:{round_}"
                outcomes = await asyncio.gather(
                    *[log.append([event("A", key)], Guard(by_tag(key))) for log in logs for _ in range(8)]
                )
                assert sum(isinstance(outcome, Appended) for outcome in outcomes) == 1
                assert len(await logs[0].read(by_tag(key))) == 1

        self.run(stores, scenario, instances)

    @pytest.mark.parametrize("instances", [1, 2])
    def test_boundaries_that_overlap_conflict_however_they_are_described(self, stores: Any, instances: int) -> None:
        """One says it by type, the other by tag: what both select is what they compete for."""

        async def scenario(*logs: Log) -> None:
            for _ in range(10):
                head = await logs[0].head()
                by_type, tagged = Guard((Criterion(types=("Taken",)),), head), Guard(by_tag("seat:1"), head)
                outcomes = await asyncio.gather(
                    logs[0].append([event("Taken", "seat:1")], by_type),
                    logs[-1].append([event("Taken", "seat:1")], tagged),
                )
                assert sum(isinstance(outcome, Appended) for outcome in outcomes) == 1

        self.run(stores, scenario, instances)

    # Tickets.

    def test_an_append_may_count_on_a_queued_one(self, stores: Any) -> None:
        """Commands for one key share a commit: each counts on the one before it."""

        async def scenario(log: Log) -> None:
            ticket = log.submit([event("A", "x:1")], Guard(by_tag("x:1"), 0))
            tickets = [ticket]
            for _ in range(20):
                ticket = log.submit([event("A", "x:1")], Guard(by_tag("x:1"), ticket))
                tickets.append(ticket)
            assert await _all(*tickets) == [Appended(n, n) for n in range(1, 22)]
            later = log.submit([event("A", "x:1")], Guard(by_tag("x:1"), ticket))
            assert await later == Appended(22, 22)

        self.run(stores, scenario)

    def test_what_counts_on_a_refused_append_is_refused(self, stores: Any) -> None:
        """It was decided on events that never were."""

        async def scenario(log: Log) -> None:
            await log.append([event("A", "x:1")])
            refused = log.submit([event("A", "x:1")], Guard(by_tag("x:1"), 0))
            child = log.submit([event("A", "x:1")], Guard(by_tag("x:1"), refused))
            grandchild = log.submit([event("A", "x:1")], Guard(by_tag("x:1"), child))
            other = log.submit([event("A", "x:2")], Guard(by_tag("x:2"), 0))
            kinds = [type(outcome) for outcome in await _all(refused, child, grandchild, other)]
            assert kinds == [Conflict, Conflict, Conflict, Appended]
            assert isinstance(await log.submit([event("A")], Guard(by_tag("x:1"), refused)), Conflict)
            assert await log.head() == 2

        self.run(stores, scenario)

    def test_what_comes_between_an_append_and_the_one_that_counts_on_it_conflicts(self, stores: Any) -> None:
        """The ticket stands for a position: nothing may be selected after that one either."""

        async def scenario(log: Log) -> None:
            first = log.submit([event("A", "x:1")])
            between = log.submit([event("A", "x:1")])
            second = log.submit([event("A", "x:1")], Guard(by_tag("x:1"), first))
            kinds = [type(outcome) for outcome in await _all(first, between, second)]
            assert kinds == [Appended, Appended, Conflict]

        self.run(stores, scenario)

    def test_what_counts_on_a_repetition_is_refused(self, stores: Any) -> None:
        """A repetition adds nothing, so a state that includes its events is wrong."""

        async def scenario(log: Log) -> None:
            await log.append([event("A", "x:1")], id="once")
            again = log.submit([event("A", "x:1")], id="once")
            assert isinstance(await log.submit([event("B", "x:1")], Guard(by_tag("x:1"), again)), Conflict)
            assert isinstance(await log.submit([event("B", "x:1")], Guard(by_tag("x:1"), again)), Conflict)

        self.run(stores, scenario)

    # Idempotence.

    @pytest.mark.parametrize("instances", [1, 2])
    def test_an_id_takes_effect_once(self, stores: Any, instances: int) -> None:
        """Sent again, at the same moment or later, here or elsewhere: the first outcome comes back."""

        async def scenario(*logs: Log) -> None:
            outcomes = await asyncio.gather(*[log.append([event("A"), event("B")], id="once") for log in logs * 4])
            outcomes += [await logs[-1].append([event("A")], id="once")]
            assert sum(not getattr(outcome, "repeated", True) for outcome in outcomes) == 1
            assert {(outcome.first, outcome.last) for outcome in outcomes if isinstance(outcome, Appended)} == {(1, 2)}
            assert await logs[0].head() == 2
            assert await logs[0].store.handled("once") == Appended(1, 2)
            assert await logs[0].store.handled("never") is None

        self.run(stores, scenario, instances)

    def test_an_id_is_known_even_if_its_condition_would_fail_now(self, stores: Any) -> None:
        """A repetition is answered before anything is checked, as its own first effect may stand against it."""

        async def scenario(log: Log) -> None:
            guard = Guard(by_tag("x:1"), 0)
            assert await log.append([event("A", "x:1")], guard, id="once") == Appended(1, 1)
            assert await log.append([event("A", "x:1")], guard, id="once") == Appended(1, 1, repeated=True)

        self.run(stores, scenario)

    def test_a_refused_id_may_try_again(self, stores: Any) -> None:
        """A conflict is no effect."""

        async def scenario(log: Log) -> None:
            await log.append([event("A", "x:1")])
            assert isinstance(await log.append([event("B")], Guard(by_tag("x:1"), 0), id="once"), Conflict)
            assert await log.append([event("B")], Guard(by_tag("x:1"), 1), id="once") == Appended(2, 2)

        self.run(stores, scenario)

    def test_an_append_without_events_is_remembered_by_its_id(self, stores: Any) -> None:
        """A decision may have nothing to say, and say so once."""

        async def scenario(log: Log) -> None:
            await log.append([event("A")])
            assert await log.append([], id="once") == Appended(2, 1)
            await log.append([event("B")])
            assert await log.append([event("C")], id="once") == Appended(2, 1, repeated=True)
            assert await log.head() == 2

        self.run(stores, scenario)

    # Following.

    def test_a_follower_gets_what_is_there_and_what_comes(self, stores: Any) -> None:
        """Every selected event once and in order, whichever instance appends it."""

        async def scenario(log: Log, other: Log) -> None:
            await log.append([event("A", "x:1")])
            seen: list[int] = []
            following = asyncio.create_task(_follow(log, by_tag("x:1"), seen, 6))
            await log.append([event("B", "x:1"), event("B", "x:2")])
            await other.append([event("C", "x:1")])
            await log.append([event("D", "x:1")])
            await other.append([event("E", "x:1"), event("F", "x:1")])
            await asyncio.wait_for(following, 30)
            assert seen == [1, 2, 4, 5, 6, 7]

        self.run(stores, scenario, 2)

    def test_a_follower_moves_on_where_nothing_is_selected(self, stores: Any) -> None:
        """Otherwise its checkpoint would stay behind, and every start would read the same events in vain."""

        async def scenario(log: Log) -> None:
            await log.append([event("A") for _ in range(10)])
            async for batch in log.follow(by_tag("x:1")):
                assert (batch.events, batch.position, batch.head) == ([], 10, 10)
                break

        self.run(stores, scenario)

    def test_a_reader_never_sees_a_position_appear_behind_one_that_it_has_read(self, stores: Any) -> None:
        """With several writers at once, what a follower has read is always all there is up to its position."""

        async def scenario(*logs: Log) -> None:
            writers, reader = logs[:-1], logs[-1]
            seen: list[int] = []
            following = asyncio.create_task(_follow(reader, ALL, seen, 300))

            async def write(log: Log, n: int) -> None:
                for _ in range(25):
                    await log.append([event("A", f"x:{n}"), event("B", f"x:{n}")])

            await asyncio.gather(*[write(log, n) for n, log in enumerate(writers * 2)])
            await asyncio.wait_for(following, 60)
            assert seen == list(range(1, 301))

        self.run(stores, scenario, 4)

    # The rest.

    def test_the_latest_snapshot_is_kept(self, stores: Any) -> None:
        """A slow process may come late with an older one."""

        async def scenario(log: Log) -> None:
            store = log.store
            assert await store.load_snapshot("Account:1", "account:ann") is None
            await store.save_snapshot("Account:1", "account:ann", Snapshot(5, b"five"))
            await store.save_snapshot("Account:1", "account:ann", Snapshot(7, b"seven"))
            await store.save_snapshot("Account:1", "account:ann", Snapshot(6, b"six"))
            assert await store.load_snapshot("Account:1", "account:ann") == Snapshot(7, b"seven")
            assert await store.load_snapshot("Account:2", "account:ann") is None

        self.run(stores, scenario)

    def test_another_instance_sees_everything_after_a_restart(self, stores: Any) -> None:
        """What was acknowledged is there for whoever opens the log next."""

        async def write(log: Log) -> None:
            await log.append([event("A", "x:1")], id="once")

        async def look(log: Log) -> None:
            assert await log.head() == 1
            assert await log.append([event("A")], id="once") == Appended(1, 1, repeated=True)
            assert isinstance(await log.append([event("A")], Guard(by_tag("x:1"), 0)), Conflict)

        self.run(stores, write)
        self.run(stores, look)

    def test_a_caller_that_gives_up_harms_nobody(self, stores: Any) -> None:
        """Its append is stored or not, and whatever counts on it and whoever waits behind it goes on."""

        async def scenario(log: Log) -> None:
            given_up = asyncio.create_task(log.append([event("A", "x:1")]))
            others = [asyncio.create_task(log.append([event("B")])) for _ in range(5)]
            await asyncio.sleep(0)
            given_up.cancel()
            outcomes = await asyncio.gather(*others)
            with suppress(asyncio.CancelledError):
                await given_up
            assert all(isinstance(outcome, Appended) for outcome in outcomes)
            assert [e.type for e in await log.read()].count("B") == 5

        self.run(stores, scenario)

    def test_closing_stores_what_is_queued_and_refuses_what_comes(self, stores: Any) -> None:
        """An orderly end loses nothing that was taken, and takes nothing that it would lose."""

        async def scenario() -> list[Outcome]:
            log = await Log.open(stores(), _CLOCK)
            tickets = [log.submit([event("A")]) for _ in range(10)]
            await log.close()
            with pytest.raises(LogUnavailable, match="closing"):
                log.submit([event("B")])
            return await _all(*tickets)

        assert asyncio.run(scenario()) == [Appended(n, n) for n in range(1, 11)]


async def _all(*awaitables: Awaitable[T]) -> list[T]:
    return [await each for each in awaitables]


async def _follow(log: Log, criteria: Criteria, seen: list[int], count: int) -> None:
    async for batch in log.follow(criteria):
        seen += [each.position for each in batch.events]
        assert not seen or batch.position >= seen[-1]
        if len(seen) >= count:
            return
