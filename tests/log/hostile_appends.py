"""Whatever somebody might give to a log, and what stores make of it: the same in every database."""

from collections.abc import Awaitable, Sequence
from typing import Any, TypeAlias

from hypothesis import strategies as st

from twofold.errors import ValueRefused
from twofold.log import ALL, Append, Condition, Conflict, Criterion, LogStore, NewEvent, Outcome

TEXTS = (
    "a", "A", "a ", "b", "", "\0", "a\0", "\x1f", "a\x1fb", "\x1e", "\n", "'", '"', "\\", "%", "_", "$1", "?", ":a", "{x}",
    "\u00e9", "e\u0301", "\u00df", "SS", "\u0131", "\u0130", "\ufeffa", "\u200b", "\ud800", "\udc00a", "\U0010ffff",
    "sha256:" + "0" * 64, "x" * 200, "x" * 201, "x" * 500, "x" * 501, "x" * 3000, "\u00c4" * 500, "a\x1fA", "account:ann",
    "NULL", "{a,b}", "\\x00",
)  # fmt: skip
texts = st.sampled_from(TEXTS) | st.text(max_size=4)
numbers: st.SearchStrategy[Any] = st.integers(-2, 12) | st.sampled_from(
    [1 << 31, (1 << 31) - 1, 1 << 62, (1 << 63) - 1, 1 << 63, -(1 << 63), 1 << 70, True, 1.0, None]
)
tags = st.lists(texts, max_size=3).map(tuple)
data = st.binary(max_size=3) | st.sampled_from([b"{}", b"\0", b"\xff", b"NaN"])
events = st.builds(NewEvent, texts, texts, st.just(1) | numbers, tags, data, data)
criteria = st.lists(st.builds(Criterion, tags, tags), max_size=3).map(tuple)
conditions = st.builds(Condition, criteria, numbers, st.none() | st.integers(-1, 3))
appends = st.builds(
    Append,
    st.lists(events, max_size=2).map(tuple),
    st.just(()) | st.lists(conditions, max_size=2).map(tuple),
    texts | st.just(""),
    st.sampled_from([b"", b"one", b"other", b"x" * 65]),
)
# A log of plain events, so that much of what is asked for is there.
plain_types = st.sampled_from(["a", "A", "\u00e9"])
plain_tags = st.lists(st.sampled_from(["a", "b", "\0"])).map(tuple)
plain_events = st.builds(NewEvent, st.just("id"), plain_types, st.just(1), plain_tags, st.just(b"{}"))
plain = st.lists(plain_events, min_size=1, max_size=3).map(lambda found: [Append(tuple(found))])
steps = st.lists(plain | st.lists(appends, max_size=3), max_size=5)
questions = st.lists(st.tuples(criteria | st.just(ALL), numbers, numbers, st.booleans()), max_size=5)

Question: TypeAlias = tuple[Any, Any, Any, bool]


async def answers(store: LogStore, batches: Sequence[Sequence[Append]], asked: Sequence[Question]) -> list[object]:
    """Return what becomes of batches, of questions, and of what was remembered."""
    found = [await _or_refused(_written(store, batch)) for batch in batches]
    for wanted, after, limit, backwards in asked:
        found.append(await _or_refused(store.read(wanted, after, limit, backwards=backwards)))
        found.append(await _or_refused(store.history(wanted, after, limit)))
    found += [await _or_refused(store.processed(append.id)) for batch in batches for append in batch]
    return [*found, await store.head(), await store.read(ALL), await store.read_processed(0, 100)]


async def _written(store: LogStore, batch: Sequence[Append]) -> list[Outcome]:
    outcomes = await store.write(batch, 1)
    assert len(outcomes) == len(batch)
    return [Conflict() if isinstance(each, Conflict) else each for each in outcomes]


async def _or_refused(answer: Awaitable[object]) -> object:
    try:
        return await answer
    except ValueRefused:
        return "refused"
