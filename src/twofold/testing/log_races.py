"""What a log's store must hold to while several do something at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from twofold.errors import LogUnavailable
from twofold.log import ALL, Appended, Conflict, Guard, Log, LogStore, Outcome, ProcessedId
from twofold.testing.log_scenarios import (
    CLOCK,
    LogScenarios,
    all_of,
    by_tag,
    by_type,
    event,
    follow,
    positions,
)


class LogRaces(LogScenarios):
    """The part of `twofold.testing.LogConformance` that is about time: races, following, giving up and closing."""

    # Races.

    def test_several_may_be_the_first_to_open(self, stores: Callable[[], LogStore]) -> None:
        """Replicas of a service start at the same moment, and none of them finds the log half made."""

        async def scenario() -> None:
            logs = await asyncio.gather(*[Log.open(stores(), CLOCK) for _ in range(8)])
            try:
                await asyncio.gather(*[log.append([event("A")]) for log in logs])
                assert positions(await logs[0].read()) == list(range(1, 9))
            finally:
                for log in logs:
                    await log.close()

        asyncio.run(scenario())

    @pytest.mark.parametrize("instances", [1, 3])
    def test_of_appends_under_one_condition_exactly_one_gets_through(self, stores: Any, instances: int) -> None:
        """Whoever else tries at the same moment, in this process or another one."""

        async def scenario(*logs: Log) -> None:
            for round_ in range(10):
                key = f"x:{round_}"
                found = await asyncio.gather(
                    *[log.append([event("A", key)], Guard(by_tag(key))) for log in logs for _ in range(8)]
                )
                assert sum(isinstance(outcome, Appended) for outcome in found) == 1
                assert len(await logs[0].read(by_tag(key))) == 1

        self.run(stores, scenario, instances)

    @pytest.mark.parametrize("instances", [1, 2])
    def test_boundaries_that_overlap_conflict_however_they_are_described(self, stores: Any, instances: int) -> None:
        """One says it by type, the other by tag: what both select is what they compete for."""

        async def scenario(*logs: Log) -> None:
            for _ in range(10):
                head = await logs[0].head()
                typed, tagged = Guard(by_type("Taken"), head), Guard(by_tag("seat:1"), head)
                found = await asyncio.gather(
                    logs[0].append([event("Taken", "seat:1")], typed),
                    logs[-1].append([event("Taken", "seat:1")], tagged),
                )
                assert sum(isinstance(outcome, Appended) for outcome in found) == 1

        self.run(stores, scenario, instances)

    @pytest.mark.parametrize("instances", [1, 3])
    def test_no_update_is_lost(self, stores: Any, instances: int) -> None:
        """Who reads, adds one and appends under the condition of what was read counts as if all had come in turn."""

        async def count_up(log: Log) -> None:
            for _ in range(8):
                outcome: Outcome = Conflict()
                while isinstance(outcome, Conflict):
                    last = (await log.read(by_tag("counter:1"), 0, 1, backwards=True)) or None
                    after, value = (last[0].position, int(last[0].data)) if last else (0, 0)
                    new = event("Counted", "counter:1", data=b"%d" % (value + 1))
                    outcome = await log.append([new], Guard(by_tag("counter:1"), after))

        async def scenario(*logs: Log) -> None:
            await asyncio.gather(*[count_up(log) for log in logs * 3])
            counted = [int(each.data) for each in await logs[0].read(by_tag("counter:1"))]
            assert counted == list(range(1, len(logs) * 24 + 1))

        self.run(stores, scenario, instances)

    @pytest.mark.parametrize("instances", [1, 2])
    def test_of_two_that_count_on_each_other_only_one_changes(self, stores: Any, instances: int) -> None:
        """Two may leave if the other stays: each reads both and writes only its own, and still one of them is refused."""

        async def scenario(*logs: Log) -> None:
            for round_ in range(10):
                ann, bob = f"ann:{round_}", f"bob:{round_}"
                criteria = by_tag(ann) + by_tag(bob)
                both = Guard(criteria[:: round_ % 2 or -1], await logs[0].head())
                found = await asyncio.gather(
                    logs[0].append([event("Left", ann)], both), logs[-1].append([event("Left", bob)], both)
                )
                assert sorted(type(outcome).__name__ for outcome in found) == ["Appended", "Conflict"]

        self.run(stores, scenario, instances)

    @pytest.mark.parametrize("instances", [1, 2])
    def test_an_id_takes_effect_once(self, stores: Any, instances: int) -> None:
        """Sent again, at the same moment or later, here or elsewhere: the first outcome comes back."""

        async def scenario(*logs: Log) -> None:
            found = await asyncio.gather(*[log.append([event("A"), event("B")], id="once") for log in logs * 4])
            found += [await logs[-1].append([event("A")], id="once")]
            assert sum(not getattr(outcome, "repeated", True) for outcome in found) == 1
            assert {(outcome.first, outcome.last) for outcome in found if isinstance(outcome, Appended)} == {(1, 2)}
            assert await logs[0].head() == 2
            assert await logs[0].store.processed("once") == ProcessedId("once", 1, 2)
            assert await logs[0].store.processed("never") is None

        self.run(stores, scenario, instances)

    def test_an_append_is_seen_whole_or_not_at_all(self, stores: Any) -> None:
        """Whoever reads meanwhile finds all three events of an append, or none of them."""

        async def write(log: Log, key: str) -> None:
            for _ in range(10):
                await log.append([event("A", key), event("B", key), event("C", key)])

        async def scenario(writer: Log, reader: Log) -> None:
            writing = asyncio.gather(*[write(writer, f"x:{n}") for n in range(5)])
            while not writing.done():
                assert await reader.head() % 3 == 0
                for criteria in (ALL, by_tag("x:1"), by_type("A", "B", "C")):
                    assert len(await reader.read(criteria)) % 3 == 0
                await asyncio.sleep(0)
            await writing
            assert await reader.head() == 150

        self.run(stores, scenario, 2)

    def test_a_reader_never_sees_a_position_appear_behind_one_that_it_has_read(self, stores: Any) -> None:
        """With several writers at once, what a follower has read is always all there is up to its position."""

        async def write(log: Log, n: int) -> None:
            for _ in range(25):
                await log.append([event("A", f"x:{n % 3}"), event("B", f"y:{n}")])

        async def scenario(*logs: Log) -> None:
            reader = logs[-1]
            asked = (ALL, by_type("A"), by_tag("x:1"))
            # Who follows where it writes hears of its own commits, and who only reads looks for them.
            following = asyncio.gather(
                *[follow(log, criteria, until=300) for log in (logs[0], reader) for criteria in asked],
                follow(reader, by_type("B"), until=300, limit=7),
            )
            writing = asyncio.gather(*[write(log, n) for n, log in enumerate(logs[:-1] * 2)])
            while not writing.done():
                # Looking as often as it can, it is more likely to look at a wrong moment.
                await reader.head()
                await asyncio.sleep(0)
            await writing
            for criteria, seen in zip([*asked, *asked, by_type("B")], await following, strict=True):
                assert seen == positions(await reader.read(criteria))

        self.run(stores, scenario, 4)

    # Following.

    def test_a_follower_gets_what_is_there_and_what_comes(self, stores: Any) -> None:
        """Every selected event once and in order, whichever instance appends it."""

        async def scenario(log: Log, other: Log) -> None:
            await log.append([event("A", "x:1")])
            following = asyncio.create_task(follow(log, by_tag("x:1"), until=7))
            await log.append([event("B", "x:1"), event("B", "x:2")])
            await other.append([event("C", "x:1")])
            await log.append([event("D", "x:1")])
            await other.append([event("E", "x:1"), event("F", "x:1")])
            assert await following == [1, 2, 4, 5, 6, 7]

        self.run(stores, scenario, 2)

    @pytest.mark.parametrize("writer", [0, 1])
    def test_a_follower_that_has_seen_everything_is_woken(self, stores: Any, writer: int) -> None:
        """By an append of its own instance, and by one of another, of which nobody tells it here."""

        async def scenario(*logs: Log) -> None:
            batches = logs[0].follow(by_tag("x:1"))
            await logs[0].append([event("A", "x:1")])
            assert positions((await anext(batches)).events) == [1]
            for position in (2, 3):
                waiting = asyncio.ensure_future(anext(batches))
                await asyncio.sleep(0)
                assert not waiting.done()
                await logs[writer].append([event("B", "x:1")])
                batch = await waiting
                assert (positions(batch.events), batch.position) == ([position], position)

        self.run(stores, scenario, 2)

    @pytest.mark.parametrize("limit", [1, 3, 5, 1000])
    def test_a_follower_goes_on_from_where_it_was(self, stores: Any, limit: int) -> None:
        """However small its batches are, and wherever it begins, it gets each event after that once."""

        async def scenario(log: Log) -> None:
            await log.append([event("A" if n % 2 else "B", "x:1") for n in range(1, 21)])
            for criteria, expected in ((ALL, list(range(7, 21))), (by_type("A"), [7, 9, 11, 13, 15, 17, 19])):
                assert await follow(log, criteria, 20, 6, limit) == expected

        self.run(stores, scenario)

    def test_a_follower_moves_on_where_nothing_is_selected(self, stores: Any) -> None:
        """Otherwise its checkpoint would stay behind, and every start would read the same events in vain."""

        async def scenario(log: Log, other: Log) -> None:
            await log.append([event("A") for _ in range(10)])
            batches = log.follow(by_tag("x:1"))
            for head, writer in ((10, log), (11, other), (12, log)):
                batch = await anext(batches)
                assert (batch.events, batch.position, batch.head) == ([], head, head)
                await writer.append([event("A")])

        self.run(stores, scenario, 2)

    def test_a_follower_that_stops_stops_no_other(self, stores: Any) -> None:
        """They wait for the same thing, each for itself."""

        async def scenario(log: Log) -> None:
            followers = [log.follow() for _ in range(3)]
            await log.append([event("A")])
            for each in followers:
                assert positions((await anext(each)).events) == [1]
            waiting = [asyncio.ensure_future(anext(each)) for each in followers]
            await asyncio.sleep(0)
            waiting.pop(1).cancel()
            await log.append([event("B")])
            for batch in await asyncio.gather(*waiting):
                assert positions(batch.events) == [2]

        self.run(stores, scenario)

    # Giving up, and closing.

    @pytest.mark.parametrize("turns", [0, 1, 2, 3, 5])
    def test_a_caller_that_gives_up_harms_nobody(self, stores: Any, turns: int) -> None:
        """Its append is stored whole or not at all, and whatever counts on it and whoever waits behind it goes on."""

        async def scenario(log: Log) -> None:
            first = log.submit([event("A", "x:1"), event("A", "x:1")])

            async def wait() -> Outcome:
                return await first

            given_up = asyncio.create_task(wait())
            child = log.submit([event("C", "x:1")], Guard(by_tag("x:1"), first))
            others = [asyncio.create_task(log.append([event("B")])) for _ in range(5)]
            for _ in range(turns):
                await asyncio.sleep(0)
            given_up.cancel()
            found = await asyncio.gather(*others)
            with suppress(asyncio.CancelledError):
                await given_up
            assert all(isinstance(outcome, Appended) for outcome in found)
            assert isinstance(await child, Appended)
            assert sorted(each.type for each in await log.read()) == ["A", "A", "B", "B", "B", "B", "B", "C"]

        self.run(stores, scenario)

    def test_closing_stores_what_is_queued_and_refuses_what_comes(self, stores: Callable[[], LogStore]) -> None:
        """An orderly end loses nothing that was taken, and takes nothing that it would lose."""

        async def scenario() -> list[Outcome]:
            log = await Log.open(stores(), CLOCK)
            tickets = [log.submit([event("A")]) for _ in range(10)]
            closing = asyncio.create_task(log.close())
            await asyncio.sleep(0)
            with pytest.raises(LogUnavailable, match="closing"):
                log.submit([event("B")])
            await closing
            with pytest.raises(LogUnavailable, match="closing"):
                log.submit([event("B")])
            return await all_of(*tickets)

        assert asyncio.run(scenario()) == [Appended(n, n) for n in range(1, 11)]

    def test_closing_one_instance_leaves_the_others_open(self, stores: Callable[[], LogStore]) -> None:
        """A process ends, and its neighbours go on."""

        async def scenario(log: Log) -> None:
            other = await Log.open(stores(), CLOCK)
            await other.append([event("A")])
            await other.close()
            assert await log.append([event("B")]) == Appended(2, 2)
            assert [each.type for each in await log.read()] == ["A", "B"]

        self.run(stores, scenario)
