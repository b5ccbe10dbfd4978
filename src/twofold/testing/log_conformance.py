"""What a log's store must hold to, as tests. Whoever writes an adapter runs them on it."""

from __future__ import annotations

from typing import Any

import pytest

from twofold.log import (
    ALL,
    Append,
    Appended,
    Condition,
    Conflict,
    Criteria,
    Criterion,
    Guard,
    Log,
    NewEvent,
    ProcessedId,
    RecordedEvent,
    Snapshot,
)
from twofold.messages import Metadata, encode
from twofold.testing.log_batches import LogBatches
from twofold.testing.log_races import LogRaces
from twofold.testing.log_restoring import LogRestoring
from twofold.testing.log_rules import LogRules
from twofold.testing.log_scenarios import (
    CLOCK,
    all_of,
    by_tag,
    by_type,
    event,
    follow,
    positions,
)
from twofold.testing.log_types import LogTypes

_ODD_TYPES = ("B", "A|D", "sales.B", "it's", "50%", "B_", "b", "Ä 🙂", "B,C")
_ODD_NAMES = ("o'brien", "a|b", '"x"', "50%", "a:b", "\n", "Ärger 🙂", "\\", "\0", "x", "X", "x ", "\u00e9", "e\u0301")
_ODD_TAGS = ("account:", *[f"account:{name}" for name in _ODD_NAMES])


class LogConformance(LogBatches, LogRaces, LogRestoring, LogRules, LogTypes):
    """Subclass it, and give it stores::

        class TestMyStore(LogConformance):
            @pytest.fixture
            def stores(self, tmp_path):
                return lambda: MyStore(tmp_path / "log")

    Each call has to return a new instance on the same data, as another process would have.
    """

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

        async def scenario(log: Log) -> RecordedEvent:
            await log.append([new])
            return (await log.read())[0]

        found = self.run(stores, scenario)
        assert (found.id, found.type, found.version, found.tags) == ("some-id", "Noted", 7, _ODD_TAGS)
        assert (found.data, found.metadata.correlation, found.metadata.actor) == (data, "c-1", "ann")
        assert found.recorded_at_us > 0

    def test_a_history_is_what_is_read_without_its_circumstances(self, stores: Any) -> None:
        """A state is folded from the same events, in the same order, up to the same limit, as anybody else sees."""
        asked: list[tuple[Criteria, int, int]] = [
            (ALL, 3, 4), (by_tag("x:1"), 0, 1000), (by_tag("x:1", types=["B"]), 3, 2), (by_type("A"), 2, 1), ((), 0, 10)
        ]  # fmt: skip

        async def scenario(log: Log) -> None:
            await log.append([event("AB"[n % 2], f"x:{n % 3}", data=b"%d" % n) for n in range(20)])
            for criteria, after, limit in asked:
                expected = [(e.position, e.type, e.version, e.data) for e in await log.read(criteria, after, limit)]
                found = [(e.position, e.type, e.version, e.data) for e in await log.history(criteria, after, limit)]
                assert found == expected

        self.run(stores, scenario)

    def test_all_of_an_events_circumstances_come_back(self, stores: Any) -> None:
        """Nothing of the metadata is lost, and where none was given there is none."""
        circumstances = Metadata(
            correlation="Anfrage 🙂", causation="c", command="d", actor="o'brien", traceparent="00-1-2-03", source="sales",
            source_id="id\n", source_position=1 << 40,
        )  # fmt: skip

        async def scenario(log: Log) -> None:
            await log.append([event(metadata=encode(circumstances)), event()])
            assert [e.metadata for e in await log.read()] == [circumstances, Metadata()]

        self.run(stores, scenario)

    def test_an_event_may_be_bare(self, stores: Any) -> None:
        """No tags and no data, or bytes that are no text, or one identity twice: the log does not judge."""
        events = [
            NewEvent("1", "Bare", 1, (), b""),
            NewEvent("2", "Bytes", 1, ("x:1", "x:1"), bytes(range(256))),
            NewEvent("3", "Long", 1, ("x:" + "1" * 5000,), b"{}"),
            NewEvent("4", "Again", 1, ("x:1",), b"{}"),
        ]

        async def scenario(log: Log) -> None:
            assert await log.append(events) == Appended(1, 4)
            assert [(e.id, e.type, e.tags, e.data) for e in await log.read()] == [
                (e.id, e.type, e.tags, e.data) for e in events
            ]
            for criteria in (by_tag("x:1"), by_tag("x:1", "x:1")):
                assert positions(await log.read(criteria, 0, 2)) == [2, 4]
            assert positions(await log.read(by_tag(events[2].tags[0]))) == [3]

        self.run(stores, scenario)

    def test_the_time_of_an_event_is_the_writers(self, stores: Any) -> None:
        """The store takes it as it is given, to the microsecond."""

        async def scenario(log: Log) -> None:
            await log.store.write([Append((event(),)), Append((event(),))], 1_700_000_000_123_456)
            assert [e.recorded_at_us for e in await log.read()] == [1_700_000_000_123_456] * 2

        self.run(stores, scenario)

    @pytest.mark.parametrize("tag", _ODD_TAGS)
    def test_a_tag_of_odd_characters_is_found_and_no_other(self, stores: Any, tag: str) -> None:
        """Tags are values, not patterns and not parts of statements."""

        async def scenario(log: Log) -> list[int]:
            await log.append([event("A", each) for each in _ODD_TAGS])
            return [e.position for e in await log.read(by_tag(tag))]

        assert self.run(stores, scenario) == [_ODD_TAGS.index(tag) + 1]

    def test_a_type_of_odd_characters_is_found_and_no_other(self, stores: Any) -> None:
        """Neither reading nor a condition takes it for a pattern, or for several types."""

        async def scenario(log: Log) -> None:
            await log.append([event(each, "x:1") for each in _ODD_TYPES])
            for position, each in enumerate(_ODD_TYPES, 1):
                assert positions(await log.read(by_type(each))) == [position]
                for criteria in (by_type(each), by_tag("x:1", types=[each, "Z"])):
                    assert isinstance(await log.append([], Guard(criteria, position)), Appended)
                    assert isinstance(await log.append([], Guard(criteria, position - 1)), Conflict)
            assert isinstance(await log.append([], Guard(by_tag("x:1", types=["A", "D"]), 0)), Appended)

        self.run(stores, scenario)

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
            await log.append([event(type_, "x:1") for type_ in "AABBBBABAB"])
            everything = (ALL, by_type("A", "B"), by_tag("x:1", types=["A"]) + by_type("B") + by_tag("x:1"))
            some = (by_tag("x:1", types=["A"]), by_type("C", "A"), by_tag("x:1", types=["A"]) + by_type("A"))
            for criteria, all_ in zip(everything + some, [list(range(1, 11))] * 3 + [[1, 2, 7, 9]] * 3, strict=True):
                assert await _paged(log, criteria, 3) == all_
                assert await _paged(log, criteria, 3, backwards=True) == all_[::-1]

        self.run(stores, scenario)

    def test_reading_beyond_either_end_finds_nothing(self, stores: Any) -> None:
        """A follower that has everything asks for what comes after; who pages backwards, for what is before the first."""

        async def scenario(log: Log) -> None:
            assert await log.read() == []
            assert await log.read(backwards=True) == []
            await log.append([event("A", "x:1"), event("A", "x:1")])
            for criteria in (ALL, by_tag("x:1"), by_type("A")):
                for after in (2, 3, 1000):
                    assert await log.read(criteria, after) == []
                assert positions(await log.read(criteria, 1000, backwards=True)) == [2, 1]
                assert positions(await log.read(criteria, 2, backwards=True)) == [1]
                assert await log.read(criteria, 1, backwards=True) == []

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

    def test_many_appends_at_once_each_get_their_own_answer(self, stores: Any) -> None:
        """More than one commit takes: ids, conditions and positions stay with the append that they belong to."""

        async def scenario(log: Log) -> None:
            tickets = [
                log.submit([event("A", f"x:{n // 2}", data=b"%d" % n)], Guard(by_tag(f"x:{n // 2}")), id=f"id-{n}")
                for n in range(9000)
            ]
            found = await all_of(*tickets)
            assert [type(outcome) for outcome in found] == [Appended, Conflict] * 4500
            stored = await log.read(ALL, 0, 10_000)
            assert [int(e.data) for e in stored] == list(range(0, 9000, 2))
            assert [outcome.last for outcome in found if isinstance(outcome, Appended)] == positions(stored)
            assert await log.store.processed("id-8998") == ProcessedId("id-8998", 4500, 4500)
            assert await log.store.processed("id-8999") is None

        self.run(stores, scenario)

    def test_a_batch_may_have_more_ids_than_a_statement_takes_values(self, stores: Any) -> None:
        """An append without events is light, and very many may wait for the same commit."""

        async def scenario(log: Log) -> None:
            batch = [Append((), (), f"id-{n}") for n in range(33_000)]
            assert set(await log.store.write(batch, 1)) == {Appended(1, 0)}
            assert set(await log.store.write(batch, 1)) == {Appended(1, 0, repeated=True)}

        self.run(stores, scenario)

    def test_criteria_may_have_hundreds_of_alternatives(self, stores: Any) -> None:
        """A boundary over all lines of a long order is still one boundary."""
        many = tuple(Criterion(tags=(f"x:{n}",)) for n in range(700))
        types = by_type(*[f"T{n}" for n in range(700)])
        pairs = tuple(Criterion(types=("T699",), tags=(f"x:{n}", f"y:{n}")) for n in range(700))

        async def scenario(log: Log) -> None:
            await log.append([event("T699", "x:699", "y:699"), event("T", "x:700", "y:699")])
            for criteria in (many, types, pairs):
                assert positions(await log.read(criteria)) == [1]
                assert isinstance(await log.append([], Guard(criteria, 0)), Conflict)
                assert isinstance(await log.append([], Guard(criteria, 1)), Appended)

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

        self.run(stores, scenario)

    @pytest.mark.parametrize(
        "criteria", [ALL, by_type("B"), by_tag("x:1"), by_tag("x:1", "y:1"), by_tag("x:1", types=["A", "B"])]
    )
    def test_a_conflict_names_an_event_that_stands_against_the_append(self, stores: Any, criteria: Criteria) -> None:
        """Whoever looks into a refusal finds out what came in between; a store that cannot tell says 0."""

        async def scenario(log: Log) -> None:
            await log.append([event("B", "x:1", "y:1"), event("C"), event("B", "x:1", "y:1"), event("B", "y:1", "x:1")])
            for after, against in ((0, {0, 1, 2, 3, 4}), (1, {0, 2, 3, 4}), (3, {0, 4})):
                outcome = await log.append([event("D")], Guard(criteria, after))
                assert isinstance(outcome, Conflict)
                assert outcome.position in against
            for after in (4, 100):
                assert isinstance(await log.append([], Guard(criteria, after)), Appended)

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
            outcomes = await all_of(
                log.submit([event("B")]),
                log.submit([event("C", "x:1"), event("D")], Guard(by_tag("x:1"), 0)),
                log.submit([event("E")]),
            )
            assert [type(outcome) for outcome in outcomes] == [Appended, Conflict, Appended]
            assert [e.type for e in await log.read()] == ["A", "B", "E"]

        self.run(stores, scenario)

    @pytest.mark.parametrize(
        "criteria",
        [
            ALL,
            by_type("A"),
            by_type("Z", "A"),
            by_tag("x:1"),
            by_tag("y:1"),
            by_tag("x:1", "y:1"),
            by_tag("x:1", types=["Z", "A"]),
            by_tag("z:1") + by_type("A"),
        ],
    )
    def test_conditions_see_the_earlier_appends_of_a_batch(self, stores: Any, criteria: Criteria) -> None:
        """Appends take effect in the order in which they were queued, in one commit or in many."""

        async def scenario(log: Log) -> None:
            selected, others = event("A", "x:1", "y:1"), (event("B", "x:2"), event("B", "x:3"))
            for before in ([selected], [others[0], selected, event("B", "x:1"), event("A", "y:2")]):
                guarded = Append((event("C"),), (Condition(criteria, await log.head()),))
                found = await log.store.write([*[Append((each,)) for each in before], guarded], 1)
                assert isinstance(found[-1], Conflict)
            guarded = Append((event("C"),), (Condition(criteria, await log.head()),))
            found = await log.store.write([Append(others), guarded], 1)
            assert isinstance(found[-1], Conflict if criteria == ALL else Appended)

        self.run(stores, scenario)

    # Snapshots, and coming back.

    def test_the_latest_snapshot_is_kept(self, stores: Any) -> None:
        """A slow process may come late with an older one."""

        async def scenario(log: Log) -> None:
            snapshots = log.store.snapshots
            assert await snapshots.load_snapshot("Account:1", "account:ann") is None
            await snapshots.save_snapshot("Account:1", "account:ann", Snapshot(5, b"five"))
            await snapshots.save_snapshot("Account:1", "account:ann", Snapshot(7, b"seven"))
            await snapshots.save_snapshot("Account:1", "account:ann", Snapshot(6, b"six"))
            assert await snapshots.load_snapshot("Account:1", "account:ann") == Snapshot(7, b"seven")
            assert await snapshots.load_snapshot("Account:2", "account:ann") is None

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

    def test_a_log_can_be_looked_at_from_outside(self, stores: Any) -> None:
        """Opened read-only, while a service appends to it."""

        async def scenario(log: Log) -> None:
            await log.append([event("A", "x:1")])
            looking = await Log.open(stores(), CLOCK, read_only=True)
            try:
                assert await looking.head() == 1
                await log.append([event("B", "x:1"), event("B")])
                assert await follow(looking, by_tag("x:1"), until=3) == [1, 2]
                assert positions(await looking.read(backwards=True)) == [3, 2, 1]
            finally:
                await looking.close()

        self.run(stores, scenario)


async def _paged(log: Log, criteria: Criteria, limit: int, *, backwards: bool = False) -> list[int]:
    """Return the positions of everything, page by page."""
    found: list[int] = []
    while page := positions(await log.read(criteria, found[-1] if found else 0, limit, backwards=backwards)):
        assert len(page) <= limit
        assert not set(page) & set(found)
        found += page
    return found
