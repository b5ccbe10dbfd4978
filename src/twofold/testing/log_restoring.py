"""What a log's store must hold to when it takes over what another log has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from twofold.errors import LogDiverged
from twofold.log import ALL, Append, Appended, Conflict, Guard, Log, ProcessedId, RecordedEvent, Reused, stored_key
from twofold.messages import encode
from twofold.testing.log_scenarios import LogScenarios, by_tag, by_type, event, follow, positions

_ODD_KEYS = ("'", '"', "\\", "\n", "%", "A", "_", "a", "a ", "a|b", "b", "Ä", "é", "e\u0301", "\uffff", "🙂")


def recorded(position: int, *tags: str, type_: str = "Deposited", data: bytes = b"{}") -> RecordedEvent:
    """Return an event as another log might have it; its id is its position's."""
    return RecordedEvent(
        position, f"id-{position}", type_, 1, encode(tags), data, b"{}", 1_700_000_000_000_000 + position
    )


def a_row(first: int, last: int, *tags: str) -> list[RecordedEvent]:
    """Return events at the positions from ``first`` to ``last``."""
    return [recorded(position, *tags) for position in range(first, last + 1)]


class LogRestoring(LogScenarios):
    """The part of `twofold.testing.LogConformance` that is about copies: they are the log, and nobody can tell."""

    # Restoring.

    def test_what_is_restored_is_as_it_was(self, stores: Any) -> None:
        """Every field to the byte and the microsecond, each event with its own time, however odd it is."""
        events = [
            RecordedEvent(
                1, "0190", "Noted", 7, b'["x:1"]', b' {"a" :1.0}\n', b'{"correlation":"c"}', 1_700_000_000_123_456
            ),
            RecordedEvent(2, "0190", "it's", 1, b"[]", b"", b"", 1),
            RecordedEvent(
                3, "Ä 🙂", "Ä.B", 2**31 - 1, encode(["x:\0", "x:" + "1" * 5000]), bytes(range(256)), b"\xff", 2**50
            ),
        ]

        async def scenario(log: Log) -> None:
            await log.store.restore(events, [])
            assert await log.store.read(ALL) == events

        self.run(stores, scenario)

    def test_appending_goes_on_behind_what_is_restored(self, stores: Any) -> None:
        """In this process or another one; and restoring goes on behind what was restored before."""

        async def scenario(log: Log, other: Log) -> None:
            await log.store.restore(a_row(1, 3), [])
            await other.store.restore(a_row(4, 5), [])
            assert await log.head() == 5
            assert await log.append([event("A")]) == Appended(6, 6)
            assert await other.append([event("B")]) == Appended(7, 7)
            assert positions(await other.read()) == [1, 2, 3, 4, 5, 6, 7]

        self.run(stores, scenario, 2)

    @pytest.mark.parametrize("tag", ["x:1", "x:\0", "x:\x1f", "x:" + "1" * 5000, "sha256:x", "Ä 🙂"])
    def test_what_is_restored_is_selected_and_stands_against_appends(self, stores: Any, tag: str) -> None:
        """Tags and types are found, and conditions see them, as if the events had been appended here."""
        events = [recorded(1, tag, "y:1", tag), recorded(2, "y:1", type_="Withdrawn"), recorded(3, tag, type_="Closed")]

        async def scenario(log: Log) -> None:
            await log.store.restore(events, [])
            for criteria, expected in (
                (by_tag(tag), [1, 3]), (by_tag("y:1", tag), [1]), (by_type("Withdrawn", "Closed"), [2, 3]),
                (by_tag(tag, types=["Closed"]), [3]),
            ):  # fmt: skip
                assert positions(await log.read(criteria)) == expected
                assert isinstance(await log.append([], Guard(criteria, expected[-1] - 1)), Conflict)
                assert isinstance(await log.append([], Guard(criteria, expected[-1])), Appended)

        self.run(stores, scenario)

    def test_restoring_again_adds_what_is_missing(self, stores: Any) -> None:
        """Who was interrupted may begin again anywhere, and what is there stays as it is."""
        ids = [ProcessedId("a", 1, 2), ProcessedId("b", 3, 2), ProcessedId("c", 3, 5)]

        async def scenario(log: Log) -> None:
            await log.store.restore(a_row(1, 3), ids[:2])
            for first, last in ((1, 3), (2, 3), (2, 5), (1, 5)):
                await log.store.restore(a_row(first, last), ids)
            assert await log.store.read(ALL) == a_row(1, 5)
            assert await log.store.read_processed(0, 5) == ids
            await log.store.restore([], [])
            assert await log.head() == 5

        self.run(stores, scenario)

    @pytest.mark.parametrize("first", [1, 2, 3])
    def test_other_events_are_neither_replaced_nor_continued(self, stores: Any, first: int) -> None:
        """Where the log has another event at one of the positions, nothing of the batch is stored, and the text says where."""

        async def scenario(log: Log) -> None:
            await log.store.restore(a_row(1, 2), [])
            await log.append([event("Other", "x:1")])
            before = await log.read()
            with pytest.raises(LogDiverged, match=f"{before[2].id} at position 3, where the Deposited id-3"):
                await log.store.restore(a_row(first, 9), [ProcessedId("a", 1, 2)])
            assert await log.read() == before
            assert await log.store.processed("a") is None

        self.run(stores, scenario)

    @pytest.mark.parametrize("held", [0, 3])
    def test_a_gap_is_not_restored(self, stores: Any, held: int) -> None:
        """What comes before has to be there, or readers would take the log for damaged."""

        async def scenario(log: Log) -> None:
            if held:
                await log.store.restore(a_row(1, held), [])
            with pytest.raises(LogDiverged, match=f"ends at position {held}, and .* goes on at {held + 2}"):
                await log.store.restore(a_row(held + 2, 9), [ProcessedId("a", 1, 2)])
            assert await log.head() == held
            assert await log.store.processed("a") is None

        self.run(stores, scenario)

    def test_a_large_batch_is_restored(self, stores: Any) -> None:
        """However many events and ids it has, and however many values that makes."""
        events = [recorded(n, f"x:{n}", f"y:{n % 7}", data=b"%d" % n) for n in range(1, 5001)]
        ids = sorted(
            [ProcessedId(f"id-{n}", n % 5000 + 1, n % 5000 + 1) for n in range(33_000)], key=lambda each: each.key
        )

        async def scenario(log: Log) -> None:
            await log.store.restore(events, ids)
            assert await log.store.read(ALL, 0, 5001) == events
            assert await log.store.read_processed(0, 5000, limit=40_000) == ids
            assert positions(await log.read(by_tag("x:5000", "y:2"))) == [5000]

        self.run(stores, scenario)

    # What is remembered.

    def test_what_was_handled_elsewhere_is_not_handled_again(self, stores: Any) -> None:
        """A command that is sent again to the copy gets its first receipt, whether or not it had led to events."""

        async def scenario(log: Log) -> None:
            await log.store.restore(a_row(1, 5), [ProcessedId("some", 2, 4), ProcessedId("none", 4, 3)])
            assert await log.append([event("A")], Guard(ALL, 0), id="some") == Appended(2, 4, repeated=True)
            assert await log.append([event("A")], id="none") == Appended(4, 3, repeated=True)
            assert await log.store.processed("some") == ProcessedId("some", 2, 4)
            assert await log.append([event("A")], id="new") == Appended(6, 6)
            assert await log.store.read_processed(0, 6) == [
                ProcessedId("new", 6, 6), ProcessedId("none", 4, 3), ProcessedId("some", 2, 4)
            ]  # fmt: skip

        self.run(stores, scenario)

    @pytest.mark.parametrize("id", ["x" * 3000, "a\x1fb", "a\0b", "sha256:" + "0" * 64, "o'brien", "Ä 🙂"])
    def test_an_id_is_remembered_under_the_same_key_by_every_log(self, stores: Any, id: str) -> None:
        """So that what one log has remembered another recognises, though an id may be any text."""

        async def scenario(log: Log) -> None:
            await log.append([event("A")], id=id)
            assert await log.store.read_processed(0, 1) == [ProcessedId(stored_key(id), 1, 1)]
            await log.store.restore([], [ProcessedId(stored_key(id + "x"), 1, 1)])
            assert await log.append([event("B")], id=id + "x") == Appended(1, 1, repeated=True)

        self.run(stores, scenario)

    def test_ids_may_come_before_their_events(self, stores: Any) -> None:
        """A copy that was cut short then handles nothing twice, whatever it lacks."""

        async def scenario(log: Log) -> None:
            await log.store.restore([], [ProcessedId("late", 2, 2)])
            assert await log.head() == 0
            assert await log.append([event("A")], id="late") == Appended(2, 2, repeated=True)
            await log.store.restore(a_row(1, 2), [])
            assert await log.store.read_processed(0, 2) == [ProcessedId("late", 2, 2)]

        self.run(stores, scenario)

    def test_another_outcome_of_an_id_is_not_replaced(self, stores: Any) -> None:
        """Somebody has acted on the copy; nothing of the batch is stored, and the text says which id it is."""

        async def scenario(log: Log) -> None:
            await log.append([], id="b")
            with pytest.raises(LogDiverged, match="the id b with the positions 1 to 0, and not 1 to 2"):
                await log.store.restore(a_row(1, 2), [ProcessedId("a", 1, 1), ProcessedId("b", 1, 2)])
            assert await log.head() == 0
            assert await log.store.read_processed(0, 9) == [ProcessedId("b", 1, 0)]

        self.run(stores, scenario)

    def test_what_an_id_stands_for_is_restored(self, stores: Any) -> None:
        """A copy takes over the contents of ids, and is not replaced by another one's."""

        async def scenario(log: Log) -> None:
            ids = [ProcessedId("known", 1, 1, b"one"), ProcessedId("old", 2, 2)]
            await log.store.restore(a_row(1, 2), ids)
            assert await log.store.read_processed(0, 2) == ids
            assert await log.append([event("A")], id="known", digest=b"other") == Reused(1, 1)
            await log.store.restore([], [ProcessedId("known", 1, 1), ProcessedId("old", 2, 2, b"one")])
            with pytest.raises(LogDiverged, match="the id known with another content"):
                await log.store.restore([], [ProcessedId("another", 1, 1), ProcessedId("known", 1, 1, b"other")])
            assert await log.store.read_processed(0, 2) == ids

        self.run(stores, scenario)

    @pytest.mark.parametrize("limit", [1, 3, 1000])
    def test_what_is_remembered_is_read_in_pages(self, stores: Any, limit: int) -> None:
        """Every id once, in the order of its bytes, those of the positions that are asked for."""
        keys = sorted(_ODD_KEYS, key=str.encode)
        ids = [ProcessedId(key, 20 - place, 19 - place + place % 2) for place, key in enumerate(keys)]

        async def scenario(log: Log) -> None:
            await log.store.restore([], ids[::-1])
            for since, until in ((0, 100), (4, 7), (5, 5), (100, 200), (7, 4)):
                expected = [each for each in ids if since <= each.last <= until]
                assert await _paged(log, since, until, limit) == expected

        self.run(stores, scenario)

    # While others do something.

    def test_whoever_follows_gets_what_is_restored(self, stores: Any) -> None:
        """A follower of the copy sees no difference to a log that is being written."""

        async def scenario(log: Log, other: Log) -> None:
            following = asyncio.create_task(follow(log, by_tag("x:1"), until=6))
            await other.store.restore(a_row(1, 3, "x:1"), [])
            await other.store.restore([*a_row(4, 5), *a_row(6, 6, "x:1")], [])
            assert await following == [1, 2, 3, 6]

        self.run(stores, scenario, 2)

    def test_an_append_between_two_batches_is_found(self, stores: Any) -> None:
        """Of a copy and of somebody who uses it too early neither overwrites the other, whoever comes first."""

        async def restore(log: Log) -> int:
            for first in range(1, 400, 4):
                try:
                    await log.store.restore(a_row(first, first + 3), [])
                except LogDiverged:
                    return first
            return 401

        async def append(log: Log, turns: int) -> Appended:
            await log.head()
            for _ in range(turns):
                await asyncio.sleep(0)
            outcome = await log.append([event("Early"), event("Early")])
            assert isinstance(outcome, Appended)
            return outcome

        async def scenario(copy: Log, other: Log) -> None:
            stopped, early = await asyncio.gather(restore(copy), append(other, 3))
            assert early == Appended(stopped, stopped + 1), "it came between two batches"
            assert positions(await copy.read()) == list(range(1, stopped + 2))
            assert [each.type for each in await copy.read()] == ["Deposited"] * (stopped - 1) + ["Early"] * 2

        self.run(stores, scenario, 2)

    def test_two_may_restore_the_same(self, stores: Any) -> None:
        """Whoever starts a copy twice by mistake gets one copy."""
        batches: Sequence[int] = range(1, 60, 6)

        async def restore(log: Log) -> None:
            for first in batches:
                await log.store.restore(a_row(first, first + 5, "x:1"), [ProcessedId(f"id-{first}", first, first + 5)])

        async def scenario(*logs: Log) -> None:
            await asyncio.gather(*[restore(log) for log in logs])
            assert await logs[0].store.read(ALL) == a_row(1, 60, "x:1")
            assert positions(await logs[0].read(by_tag("x:1"))) == list(range(1, 61))
            assert len(await logs[0].store.read_processed(0, 60)) == len(batches)

        self.run(stores, scenario, 3)

    def test_an_append_that_was_restored_meanwhile_is_not_made_again(self, stores: Any) -> None:
        """The lock of restoring is that of appending: an id has one outcome."""

        async def scenario(log: Log, other: Log) -> None:
            for n in range(20):
                head = await log.head()
                restoring = asyncio.create_task(log.store.restore([], [ProcessedId(f"id-{n}", head + 1, head)]))
                outcome = await other.store.write([Append((event("A"),), (), f"id-{n}")], 1)
                try:
                    await restoring
                    assert outcome == [Appended(head + 1, head, repeated=True)]
                except LogDiverged:
                    assert outcome == [Appended(head + 1, head + 1)]

        self.run(stores, scenario, 2)


async def _paged(log: Log, since: int, until: int, limit: int) -> list[ProcessedId]:
    found: list[ProcessedId] = []
    while page := await log.store.read_processed(since, until, found[-1].key if found else "", limit):
        assert len(page) <= limit
        found += page
    return found
