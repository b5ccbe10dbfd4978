"""What the server decides about a batch is what `twofold.log.outcomes` decides, whatever the batch."""

import asyncio
from collections.abc import Sequence
from itertools import count, product

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.log import hostile_appends as hostile
from twofold.adapters.memory import MemoryStore
from twofold.adapters.postgres import PostgresStore
from twofold.log import ALL, Append, Condition, Conflict, Criterion, NewEvent, Outcome

TYPES = ("Opened", "Closed", "Renamed")
TAGS = ("account:ann", "account:bob", "branch:7", "nul:\0", "separator:\x1f", "long:" + "x" * 3000)
EVENT_IDS = ("an-id", "\x01", "controls:\x01\x02\x1f")
IDS = ("", "", "", "first", "second", "nul\0", "x" * 3000)

serial = count(1)
events = st.builds(
    lambda id_, type_, tags: NewEvent(id_, type_, 1, tuple(tags), b'{"at":"\xc3\xa9"}', b"{}"),
    st.sampled_from(EVENT_IDS),
    st.sampled_from(TYPES),
    st.lists(st.sampled_from(TAGS), max_size=3),
)
criterion = st.builds(
    lambda types, tags: Criterion(tuple(types), tuple(tags)),
    st.lists(st.sampled_from(TYPES), max_size=2),
    st.lists(st.sampled_from(TAGS), max_size=3),
)
criteria = st.lists(criterion, max_size=2).map(tuple)
some_criteria = st.lists(criterion, min_size=1, max_size=2).map(tuple)
conditions = st.builds(Condition, some_criteria, st.integers(0, 12), st.none() | st.integers(0, 5))
appends = st.builds(
    Append,
    st.lists(events, max_size=3).map(tuple),
    st.lists(conditions, max_size=2).map(tuple),
    st.sampled_from(IDS),
    st.sampled_from([b"", b"one", b"other"]),
)


def in_order(batch: Sequence[Append]) -> list[Append]:
    """Let conditions be behind earlier appends only."""
    return [
        Append(
            append.events, tuple(_behind_earlier(each, place) for each in append.conditions), append.id, append.digest
        )
        for place, append in enumerate(batch)
    ]


def _behind_earlier(condition: Condition, place: int) -> Condition:
    if condition.behind is None or place == 0:
        return Condition(condition.criteria, condition.after)
    return Condition(condition.criteria, 0, condition.behind % place)


batches = st.lists(st.lists(appends, min_size=1, max_size=6).map(in_order), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches)
def test_outcomes_and_events_are_those_of_the_log_in_memory(database: str, scenario: list[list[Append]]) -> None:
    """Repetitions, conflicts with stored events and within the batch, and queued predecessors: all as in `resolve`."""

    async def compare() -> None:
        expected = MemoryStore()
        store = PostgresStore(f"{database}?schema=log{next(serial)}")
        await store.open()
        try:
            for time, batch in enumerate(scenario):
                for ours, theirs in zip(await store.write(batch, time), await expected.write(batch, time), strict=True):
                    assert _comparable(ours) == _comparable(theirs)
            assert await store.read(ALL) == await expected.read(ALL)
            assert await store.head() == await expected.head()
            for append in scenario[0]:
                assert await store.processed(append.id or "none") == await expected.processed(append.id or "none")
        finally:
            await store.close()

    asyncio.run(compare())


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hostile.steps, hostile.questions)
def test_whatever_a_log_is_given_it_answers_as_the_one_in_memory(
    database: str, batches: list[list[Append]], asked: list[hostile.Question]
) -> None:
    """What one takes the other takes, and what one refuses the other refuses, whatever characters and numbers there are."""

    async def scenario() -> None:
        store = PostgresStore(f"{database}?schema=log{next(serial)}")
        await store.open()
        try:
            expected = await hostile.answers(MemoryStore(), batches, asked)
            assert await hostile.answers(store, batches, asked) == expected
        finally:
            await store.close()

    asyncio.run(scenario())


def _comparable(outcome: Outcome) -> Outcome | type[Conflict]:
    return Conflict if isinstance(outcome, Conflict) else outcome


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(events, min_size=1, max_size=12),
    st.lists(st.tuples(criteria, st.integers(0, 14), st.integers(1, 5), st.booleans()), min_size=1, max_size=8),
)
def test_criteria_select_what_they_select_in_memory(
    database: str, stored: list[NewEvent], questions: list[tuple[tuple[Criterion, ...], int, int, bool]]
) -> None:
    """Any OR of types and tags, from any position, in both directions and cut at a limit."""

    async def compare() -> None:
        expected = MemoryStore()
        store = PostgresStore(f"{database}?schema=log{next(serial)}")
        await store.open()
        try:
            await expected.write([Append(tuple(stored))], 1)
            await store.write([Append(tuple(stored))], 1)
            for wanted, after, limit, backwards in questions:
                found = await store.read(wanted, after, limit, backwards=backwards)
                assert found == await expected.read(wanted, after, limit, backwards=backwards)
        finally:
            await store.close()

    asyncio.run(compare())


def test_a_long_log_is_read_and_decided_on_as_in_memory(database: str) -> None:
    """Where a tag has thousands of events, others or the types lead to what is sought, and it is found all the same.

    A long read goes along the log first, and from where too little of it is wanted, along the types.
    """

    async def compare() -> None:
        expected = MemoryStore()
        store = PostgresStore(database)
        await store.open()
        try:
            long = [Append((_of_a_long_log(number),)) for number in range(3000)]
            await expected.write(long, 1)
            await store.write(long, 1)
            wanted = [Criterion(*each) for each in product(KINDS, SUBJECTS)]
            for criterion, after, (limit, backwards) in product(wanted, (0, 1400, 2950), READS):
                found = await store.read((criterion,), after, limit, backwards=backwards)
                assert found == await expected.read((criterion,), after, limit, backwards=backwards)
            batch = [Append((), (Condition((each,), after),)) for each, after in product(wanted, (0, 1400, 2950))]
            ours, theirs = await store.write(batch, 2), await expected.write(batch, 2)
            assert [_comparable(outcome) for outcome in ours] == [_comparable(outcome) for outcome in theirs]
        finally:
            await store.close()

    asyncio.run(compare())


READS = ((0, False), (1, False), (40, False), (40, True), (2000, False))
KINDS: tuple[tuple[str, ...], ...] = ((), ("Moved",), ("Renamed",), ("Renamed", "Moved"), ("Unheard",), ("Closed",))
SUBJECTS: tuple[tuple[str, ...], ...] = (
    (),
    ("tenant:big",),
    ("item:3",),
    ("tenant:big", "half:0"),
    ("half:0", "tenant:big", "item:3"),
    ("item:unheard", "tenant:big"),
)


def _of_a_long_log(number: int) -> NewEvent:
    kind = "Renamed" if number % 700 == 1 else "Closed" if number < 1300 else "Moved"
    tags = ("tenant:big", f"half:{number % 2}", f"item:{number % 50}")
    return NewEvent(f"id-{number}", kind, 1, tags, b"{}")
