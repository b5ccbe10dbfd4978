"""What a log's store must hold to when appends share a commit, count on each other, or come again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from twofold.log import ALL, Append, Appended, Condition, Conflict, Guard, Log, ProcessedId, Reused, stored_key
from twofold.testing.log_scenarios import LogScenarios, all_of, by_tag, by_type, event


class LogBatches(LogScenarios):
    """The part of `twofold.testing.LogConformance` that is about tickets and ids."""

    # Tickets.

    def test_an_append_may_count_on_a_queued_one(self, stores: Any) -> None:
        """Commands for one key share a commit: each counts on the one before it."""

        async def scenario(log: Log) -> None:
            ticket = log.submit([event("A", "x:1")], Guard(by_tag("x:1"), 0))
            tickets = [ticket]
            for _ in range(20):
                ticket = log.submit([event("A", "x:1")], Guard(by_tag("x:1"), ticket))
                tickets.append(ticket)
            assert await all_of(*tickets) == [Appended(n, n) for n in range(1, 22)]
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
            kinds = [type(outcome) for outcome in await all_of(refused, child, grandchild, other)]
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
            kinds = [type(outcome) for outcome in await all_of(first, between, second)]
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

    def test_a_chain_of_appends_breaks_only_behind_a_refusal(self, stores: Any) -> None:
        """The store itself follows the chain, and what the chain does not touch is stored."""
        x = by_tag("x:1")
        batch = [
            Append((event("A", "x:1"),), (Condition(x),)),
            Append((event("B", "x:1"),), (Condition(x, behind=0),)),
            Append((event("C", "x:1"),), (Condition(x, behind=0),)),
            Append((event("D", "x:2"),), (Condition(by_tag("x:2")), Condition(x, behind=2))),
            Append((event("E", "x:2"),), (Condition(by_tag("x:2")), Condition(x, behind=1))),
            Append((event("F"),), (Condition(by_tag("x:3"), behind=3),)),
            Append((), (Condition(by_tag("x:3"), behind=4), Condition(by_type("B", "E"), behind=4))),
            Append((event("G"),), (Condition(ALL, behind=6),)),
        ]

        async def scenario(log: Log) -> None:
            found = await log.store.write(batch, 1)
            kinds = [type(outcome) for outcome in found]
            assert kinds == [Appended, Appended, Conflict, Conflict, Appended, Conflict, Appended, Appended]
            assert [(e.position, e.type) for e in await log.read()] == [(1, "A"), (2, "B"), (3, "E"), (4, "G")]
            assert found[6:] == [Appended(4, 3), Appended(4, 4)]

        self.run(stores, scenario)

    def test_an_append_may_count_on_one_without_events(self, stores: Any) -> None:
        """It stands for where the head was: what comes between them still conflicts."""

        async def scenario(log: Log) -> None:
            await log.append([event("A", "x:1")])
            nothing = log.submit([], Guard(by_tag("x:1"), 1), id="nothing")
            child = log.submit([event("B", "x:1")], Guard(by_tag("x:1"), nothing))
            late = log.submit([event("C", "x:1")], Guard(by_tag("x:1"), nothing))
            assert [type(outcome) for outcome in await all_of(nothing, child, late)] == [Appended, Appended, Conflict]
            assert isinstance(await log.append([event("C", "x:1")], Guard(by_tag("x:1"), nothing)), Conflict)
            assert isinstance(await log.append([event("C", "x:2")], Guard(by_tag("x:2"), nothing)), Appended)

        self.run(stores, scenario)

    def test_an_append_may_count_on_several(self, stores: Any) -> None:
        """A decision over two states, each of which has something queued."""

        async def scenario(log: Log) -> None:
            x, y = by_tag("x:1"), by_tag("y:1")
            for refused in (False, True):
                head = await log.head()
                first = log.submit([event("A", "x:1")], Guard(x, head))
                second = log.submit([event("A", "y:1")], Guard(y, 0 if refused else head))
                third = log.submit([event("B", "x:1", "y:1")], Guard(x, first), Guard(y, second))
                fourth = log.submit([event("C", "x:1", "y:1")], Guard(x, third), Guard(y, third))
                kinds = {type(outcome) for outcome in await all_of(second, third, fourth)}
                assert kinds == {Conflict if refused else Appended}
                assert isinstance(await first, Appended)

        self.run(stores, scenario)

    # Idempotence.

    def test_an_id_takes_effect_once_within_a_batch(self, stores: Any) -> None:
        """Whatever the later ones bring along, and also if the first one brought nothing or was refused."""
        refused = (Condition(by_tag("x:1")),)
        batch = [
            Append((event("B"), event("B")), (), "once"),
            Append((event("C"),), (), "once"),
            Append((), (), "nothing"),
            Append((event("D"),), (), "nothing"),
            Append((event("E"),), refused, "again"),
            Append((event("F"),), (), "again"),
            Append((event("G"),), refused, "again"),
        ]

        async def scenario(log: Log) -> None:
            await log.append([event("A", "x:1")])
            found = await log.store.write(batch, 1)
            assert isinstance(found.pop(4), Conflict)
            assert found == [
                Appended(2, 3), Appended(2, 3, repeated=True), Appended(4, 3), Appended(4, 3, repeated=True),
                Appended(4, 4), Appended(4, 4, repeated=True),
            ]  # fmt: skip
            assert [e.type for e in await log.read()] == ["A", "B", "B", "F"]

        self.run(stores, scenario)

    @pytest.mark.parametrize("instances", [1, 2])
    def test_an_id_without_events_takes_effect_once(self, stores: Any, instances: int) -> None:
        """Of many that ask at the same moment one is the first, and the others hear what became of that one."""

        async def scenario(*logs: Log) -> None:
            await logs[0].append([event("A")])
            found = await asyncio.gather(*[log.append([], id="once") for log in logs for _ in range(5)])
            found.append(await logs[-1].append([event("B")], id="once"))
            assert sorted(map(repr, found)) == sorted(
                [repr(Appended(2, 1))] + [repr(Appended(2, 1, repeated=True))] * (5 * len(logs))
            )
            assert await logs[0].head() == 1

        self.run(stores, scenario, instances)

    def test_an_append_without_events_or_id_leaves_no_trace(self, stores: Any) -> None:
        """It checks its condition, says where the head is, and that is all."""

        async def scenario(log: Log) -> None:
            assert await log.append([]) == Appended(1, 0)
            await log.append([event("A", "x:1")])
            assert await log.append([], Guard(by_tag("x:1"), 1)) == Appended(2, 1)
            assert isinstance(await log.append([], Guard(by_tag("x:1"), 0)), Conflict)
            assert await log.store.processed("") is None
            assert await log.head() == 1

        self.run(stores, scenario)

    @pytest.mark.parametrize("id", ["o'brien", "a|b", "%", " ", "Ä 🙂", "\n", "x" * 3000])
    def test_an_id_may_be_any_text(self, stores: Any, id: str) -> None:
        """Ids come from outside; each is itself and no other."""

        async def scenario(log: Log) -> None:
            assert await log.append([event("A")], id=id) == Appended(1, 1)
            assert await log.append([event("B")], id=id + "x") == Appended(2, 2)
            assert await log.append([event("C")], id=id) == Appended(1, 1, repeated=True)
            assert await log.store.processed(id) == ProcessedId(stored_key(id), 1, 1)

        self.run(stores, scenario)

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

    # What an id stands for.

    def test_an_id_stands_for_one_content(self, stores: Any) -> None:
        """Whoever uses it again for something else hears so, and is not told that this was done."""

        async def scenario(log: Log) -> None:
            assert await log.append([event("A"), event("A")], id="once", digest=b"one") == Appended(1, 2)
            assert await log.append([event("B")], id="once", digest=b"other") == Reused(1, 2)
            assert await log.append([event("A")], id="once", digest=b"one") == Appended(1, 2, repeated=True)
            assert await log.append([], id="nothing", digest=b"one") == Appended(3, 2)
            assert await log.append([], id="nothing", digest=b"other") == Reused(3, 2)
            assert await log.store.processed("once") == ProcessedId("once", 1, 2, b"one")
            assert await log.store.processed("twice") is None
            assert await log.head() == 2

        self.run(stores, scenario)

    def test_a_content_that_is_not_known_is_taken_for_the_same(self, stores: Any) -> None:
        """As with what was appended before there were digests, and by those who give none."""

        async def scenario(log: Log) -> None:
            await log.append([event("A")], id="old")
            assert await log.append([event("A")], id="old", digest=b"one") == Appended(1, 1, repeated=True)
            assert await log.append([event("A")], id="old", digest=b"other") == Appended(1, 1, repeated=True)
            assert await log.append([event("A")], id="new", digest=b"one") == Appended(2, 2)
            assert await log.append([event("A")], id="new") == Appended(2, 2, repeated=True)
            assert [each.digest for each in await log.store.read_processed(0, 2)] == [b"one", b""]

        self.run(stores, scenario)

    def test_an_id_stands_for_one_content_within_a_batch(self, stores: Any) -> None:
        """The first that is accepted says for which; a refused one says nothing, and neither does a repetition."""
        refused = (Condition(by_tag("x:1")),)
        batch = [
            Append((event("E"),), refused, "id", b"zero"),
            Append((event("A"),), (), "id", b"one"),
            Append((event("B"),), (), "id", b"two"),
            Append((event("C"),), refused, "id", b"one"),
            Append((event("D"),), (), "id", b""),
            Append((event("B"),), refused, "id", b"two"),
            Append((event("F"),), (Condition(ALL, behind=2),)),
            Append((event("G"),), (), "unknown"),
            Append((event("H"),), (), "unknown", b"one"),
            Append((event("H"),), (), "unknown", b"two"),
            Append((event("I"),), (), "stored", b"two"),
            Append((event("I"),), refused, "stored", b"one"),
        ]

        async def scenario(log: Log) -> None:
            await log.append([event("A", "x:1")], id="stored", digest=b"one")
            found = await log.store.write(batch, 1)
            assert isinstance(found.pop(6), Conflict), "what counts on it was decided on events that never were"
            assert isinstance(found.pop(0), Conflict)
            again, once = Appended(2, 2, repeated=True), Appended(3, 3, repeated=True)
            assert found == [
                Appended(2, 2), Reused(2, 2), again, again, Reused(2, 2), Appended(3, 3), once, once, Reused(1, 1),
                Appended(1, 1, repeated=True),
            ]  # fmt: skip
            assert [e.type for e in await log.read()] == ["A", "A", "G"]

        self.run(stores, scenario)
