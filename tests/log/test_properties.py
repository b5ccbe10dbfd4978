"""Random batches, against a model that is too simple to be wrong."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.log import hostile_appends as hostile
from twofold.adapters.memory import MemoryStore
from twofold.adapters.sqlite import SqliteStore
from twofold.clock import SystemClock
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
    LogStore,
    NewEvent,
    Outcome,
    ProcessedId,
    Reused,
    Ticket,
    resolve,
)

TYPES = st.sampled_from(["A", "B", "C"])
TAGS = st.lists(st.sampled_from(["x:1", "x:2", "y:1"]), max_size=2, unique=True).map(tuple)
EVENTS = st.builds(NewEvent, st.just("id"), TYPES, st.just(1), TAGS, st.just(b"{}"))
CRITERION = st.builds(Criterion, st.lists(TYPES, max_size=2, unique=True).map(tuple), TAGS)
CRITERIA: st.SearchStrategy[Criteria] = st.lists(CRITERION, max_size=2).map(tuple)
SOME_CRITERIA: st.SearchStrategy[Criteria] = st.lists(CRITERION, min_size=1, max_size=2).map(tuple)
DIGESTS = st.sampled_from([b"", b"one", b"other"])


@st.composite
def batches(draw: st.DrawFn) -> list[list[Append]]:
    found = []
    for size in draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)):
        batch: list[Append] = []
        for place in range(size):
            behind = st.none() if place == 0 else st.none() | st.integers(0, place - 1)
            conditions = st.lists(st.builds(Condition, SOME_CRITERIA, st.integers(0, 12), behind), max_size=2).map(
                tuple
            )
            append_id = draw(st.sampled_from(["", "", "", "once", "twice"]))
            events = draw(st.lists(EVENTS, max_size=3).map(tuple))
            batch.append(Append(events, draw(conditions), append_id, draw(DIGESTS)))
        found.append(batch)
    return found


@st.composite
def submissions(draw: st.DrawFn) -> list[tuple[Append, int]]:
    """Draw appends that may count on any earlier one, each with for how many turns of the loop nothing comes after it."""
    found: list[tuple[Append, int]] = []
    for place in range(draw(st.integers(1, 12))):
        behind = st.none() if place == 0 else st.none() | st.integers(0, place - 1)
        conditions = draw(
            st.lists(st.builds(Condition, SOME_CRITERIA, st.integers(0, 12), behind), max_size=2).map(tuple)
        )
        # Whether a repetition or its refused predecessor is seen first depends on the commit; either way nothing is added.
        counts = any(each.behind is not None for each in conditions)
        append_id = "" if counts else draw(st.sampled_from(["", "", "once", "twice"]))
        append = Append(draw(st.lists(EVENTS, max_size=2).map(tuple)), conditions, append_id, draw(DIGESTS))
        found.append((append, draw(st.sampled_from([0, 0, 1, 2, 5]))))
    return found


class Model:
    """A log as the specification tells it: a list, looked through from the beginning each time."""

    def __init__(self) -> None:
        self.events: list[NewEvent] = []
        self.processed: dict[str, ProcessedId] = {}

    def write(self, batch: Sequence[Append]) -> list[tuple[type, int, int, bool]]:
        outcomes: list[Outcome] = []
        for append in batch:
            outcomes.append(self._append(append, outcomes))
        return [comparable(outcome) for outcome in outcomes]

    def _append(self, append: Append, before: Sequence[Outcome]) -> Outcome:
        if append.id in self.processed:
            first = self.processed[append.id]
            if first.digest and append.digest and first.digest != append.digest:
                return Reused(first.first, first.last)
            return Appended(first.first, first.last, repeated=True)
        for condition in append.conditions:
            after = condition.after
            if condition.behind is not None:
                predecessor = before[condition.behind]
                if not isinstance(predecessor, Appended) or predecessor.repeated:
                    return Conflict()
                after = predecessor.last
            if [position for position in self.read(condition.criteria) if position > after]:
                return Conflict()
        self.events += append.events
        outcome = Appended(len(self.events) - len(append.events) + 1, len(self.events))
        if append.id:
            self.processed[append.id] = ProcessedId(append.id, outcome.first, outcome.last, append.digest)
        return outcome

    def read(self, criteria: Criteria) -> list[int]:
        return [
            position
            for position, event in enumerate(self.events, 1)
            if any(
                (not each.types or event.type in each.types) and set(each.tags) <= set(event.tags) for each in criteria
            )
        ]


def comparable(outcome: Outcome) -> tuple[type, int, int, bool]:
    if isinstance(outcome, Conflict):
        return Conflict, 0, 0, False
    repeated = isinstance(outcome, Appended) and outcome.repeated
    return type(outcome), outcome.first, outcome.last, repeated


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@settings(max_examples=60)
@given(batches(), st.lists(CRITERIA, max_size=4))
def test_a_store_does_what_the_model_does(kind: str, batches: list[list[Append]], asked: list[Criteria]) -> None:
    """Outcomes of every append, and answers to every question, are those of the specification."""

    async def scenario(store: LogStore) -> None:
        model = Model()
        await store.open()
        try:
            for batch in batches:
                assert [comparable(outcome) for outcome in await store.write(batch, 1)] == model.write(batch)
            for criteria in [ALL, *asked]:
                expected = model.read(criteria)
                assert [event.position for event in await store.read(criteria)] == expected
                assert [event.position for event in await store.read(criteria, backwards=True)] == expected[::-1]
                assert [event.position for event in await store.read(criteria, 3, 2)] == [
                    position for position in expected if position > 3
                ][:2]
        finally:
            await store.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(MemoryStore() if kind == "memory" else SqliteStore(str(Path(folder) / "log.db"))))


@given(st.lists(EVENTS, max_size=6), batches())
def test_resolving_needs_no_database(stored: list[NewEvent], batches: list[list[Append]]) -> None:
    """Told what stored events stand against, it says what becomes of a batch, and what enters the log."""
    model = Model()
    model.events += stored
    for batch in batches:
        head, processed = len(model.events), dict(model.processed)
        against = {
            place: newer[0]
            for place, append in enumerate(batch)
            for condition in append.conditions
            if condition.behind is None
            and (newer := [position for position in model.read(condition.criteria) if position > condition.after])
        }
        outcomes, entering = resolve(batch, head, processed, against)
        assert [comparable(outcome) for outcome in outcomes] == model.write(batch)
        assert entering == model.events[head:]
        assert all(0 <= outcome.position <= len(model.events) for outcome in outcomes if isinstance(outcome, Conflict))


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@settings(max_examples=60)
@given(submissions())
def test_how_appends_share_commits_makes_no_difference(kind: str, submissions: list[tuple[Append, int]]) -> None:
    """Those that come together and those that come apart have the outcomes of a log that takes one after the other."""

    async def scenario(store: LogStore) -> None:
        log = await Log.open(store, SystemClock())
        try:
            tickets: list[Ticket] = []
            for append, turns in submissions:
                guards = [
                    Guard(each.criteria, each.after if each.behind is None else tickets[each.behind])
                    for each in append.conditions
                ]
                tickets.append(log.submit(append.events, *guards, id=append.id, digest=append.digest))
                for _ in range(turns):
                    await asyncio.sleep(0)
            model = Model()
            expected = model.write([append for append, _ in submissions])
            assert [comparable(await ticket) for ticket in tickets] == expected
            assert [(event.type, event.tags) for event in await log.read()] == [
                (event.type, event.tags) for event in model.events
            ]
        finally:
            await log.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(MemoryStore() if kind == "memory" else SqliteStore(str(Path(folder) / "log.db"))))


@settings(max_examples=150)
@given(hostile.steps, hostile.questions)
def test_whatever_a_log_is_given_its_databases_answer_alike(
    batches: list[list[Append]], asked: list[hostile.Question]
) -> None:
    """What one takes the other takes, and what one refuses the other refuses, whatever characters and numbers there are."""

    async def scenario(path: str) -> None:
        memory, sqlite = MemoryStore(), SqliteStore(path)
        await sqlite.open()
        try:
            expected = await hostile.answers(memory, batches, asked)
            assert await hostile.answers(sqlite, batches, asked) == expected
        finally:
            await sqlite.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(str(Path(folder) / "log.db")))
