"""A batch of appends as the statement that stores it takes it, and what it returns as outcomes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec

from twofold.errors import ValueRefused
from twofold.log import (
    Append,
    Appended,
    Condition,
    Conflict,
    Criteria,
    Criterion,
    Outcome,
    Reused,
    check_batch,
    stored_key,
)
from twofold.messages import encode

_SEPARATOR = "\x1f"
_REPEATS, _FAILS, _FEEDS = 1, 2, 3
_IN_CONFLICT = -1


def criteria_columns(criteria: Criteria) -> tuple[list[str], list[str]]:
    """Return criteria as ``log_read`` takes them: the tags of each, and its types."""
    return [_joined_tags(each) for each in criteria], [_SEPARATOR.join(each.types) for each in criteria]


def _joined_tags(criterion: Criterion) -> str:
    return _SEPARATOR.join([stored_key(tag) for tag in criterion.tags])


class _Texts(list[str]):
    """A column of texts."""


def batch_arguments(batch: Sequence[Append]) -> list[Any]:
    """Return the batch as the statement ``append`` takes it: the function's columns from ``sizes`` on, and a mark.

    The driver looks closely at each value of an array, so a column of texts is one text, with the mark before each of them.
    """
    check_batch(batch)
    sizes = [len(append.events) for append in batch]
    columns = [sizes, *_event_columns(batch), *_id_columns(batch), *_condition_columns(batch), *_steps(batch)]
    mark = _mark_in_none_of([each for each in columns if isinstance(each, _Texts)])
    return [*["".join([mark + text for text in each]) if isinstance(each, _Texts) else each for each in columns], mark]


def _mark_in_none_of(columns: Iterable[Iterable[str]]) -> str:
    everything = "".join(chain.from_iterable(columns))
    for mark in map(chr, chain(range(1, 0xD800), range(0xE000, 0x110000))):
        if mark not in everything:
            return mark
    raise ValueRefused(
        "The appends have every character that there is, and a statement needs one more; nothing was stored."
    )


def _event_columns(batch: Sequence[Append]) -> list[list[Any]]:
    """Return the events, and their tags."""
    places: list[int] = []
    events = []
    tag_places: list[int] = []
    tag_events: list[int] = []
    tag_names = _Texts()
    tag_types = _Texts()
    for place, append in enumerate(batch, 1):
        for event in append.events:
            places.append(place)
            events.append(event)
            for tag in dict.fromkeys(event.tags):
                tag_places.append(place)
                tag_events.append(len(places))
                tag_names.append(stored_key(tag))
                tag_types.append(event.type)
    return [
        places,
        _Texts([event.id for event in events]),
        _Texts([event.type for event in events]),
        [event.version for event in events],
        [encode(event.tags) for event in events],
        [event.data for event in events],
        [event.metadata for event in events],
        tag_places,
        tag_events,
        tag_names,
        tag_types,
    ]


def _id_columns(batch: Sequence[Append]) -> list[list[Any]]:
    places = [place for place, append in enumerate(batch, 1) if append.id]
    appends = [batch[place - 1] for place in places]
    return [places, _Texts([stored_key(each.id) for each in appends]), [each.digest for each in appends]]


def _condition_columns(batch: Sequence[Append]) -> list[list[Any]]:
    """Return the conditions that are checked against stored events: those of one tag, the common kind, and the others."""
    probes: list[list[Any]] = [[], _Texts(), _Texts(), []]
    asked: list[list[Any]] = [[], _Texts(), _Texts(), []]
    for place, condition in _conditions(batch):
        if condition.behind is None:
            for criterion in condition.criteria:
                columns = probes if len(criterion.tags) == 1 else asked
                columns[0].append(place)
                columns[1].append(_joined_tags(criterion))
                columns[2].append(_SEPARATOR.join(criterion.types))
                columns[3].append(condition.after)
    return probes + asked


def _conditions(batch: Sequence[Append]) -> Iterator[tuple[int, Condition]]:
    for place, append in enumerate(batch, 1):
        for condition in append.conditions:
            yield place, condition


class _Step(msgspec.Struct, frozen=True, order=True, array_like=True):
    place: int
    kind: int
    on: int
    behind: int
    after: int


def _steps(batch: Sequence[Append]) -> list[list[Any]]:
    """Return what the appends of a batch have to do with each other, in the order in which it is to be looked at."""
    steps = sorted([*_repetitions(batch), *_dependences(batch)])
    return [
        [step.place for step in steps],
        [step.kind for step in steps],
        [step.on for step in steps],
        [step.behind for step in steps],
        [step.after for step in steps],
    ]


def _repetitions(batch: Sequence[Append]) -> Iterator[_Step]:
    """Yield the appends that have an earlier one's id; the latest of those knows what became of all before it."""
    latest: dict[str, int] = {}
    contents = {b"": 0}
    for place, append in enumerate(batch, 1):
        if append.id:
            own = contents.setdefault(append.digest, len(contents))
            if earlier := latest.get(append.id):
                yield _Step(place, _REPEATS, earlier, contents[batch[earlier - 1].digest], own)
            latest[append.id] = place


def _dependences(batch: Sequence[Append]) -> Iterator[_Step]:
    """Yield the conditions that earlier appends of the batch might break, and those appends."""
    feeders = _Feeders(batch)
    sets: dict[Criterion, int] = {}
    for place, condition in _conditions(batch):
        if condition.behind is None:
            watched = [each for each in condition.criteria if feeders.has_before(place, each)]
        else:
            watched = [*condition.criteria]
        for criterion in watched:
            number = sets.setdefault(criterion, len(sets) + 1)
            behind = 0 if condition.behind is None else condition.behind + 1
            yield _Step(place, _FAILS, number, behind, condition.after)
    for criterion, number in sets.items():
        for place, offset in feeders.of(criterion).items():
            yield _Step(place, _FEEDS, number, 0, offset)


class _Feeders:
    """The events of a batch by tag and type, each as its append's place and its own in there."""

    def __init__(self, batch: Sequence[Append]) -> None:
        self._batch = batch
        self._by_tag: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        self._by_type: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        self._all: list[tuple[int, int]] = []
        for place, append in enumerate(batch, 1):
            for offset, event in enumerate(append.events):
                entry = (place, offset)
                self._all.append(entry)
                self._by_type[event.type].append(entry)
                for tag in event.tags:
                    self._by_tag[tag].append(entry)

    def has_before(self, place: int, criterion: Criterion) -> bool:
        """Say whether an append before this place may have a selected event; a closer look is `of`."""
        return any(entries and entries[0][0] < place for entries in self._near(criterion))

    def of(self, criterion: Criterion) -> dict[int, int]:
        """Return the place of the last selected event in each append that has one."""
        found: dict[int, int] = {}
        for place, offset in chain.from_iterable(self._near(criterion)):
            event = self._batch[place - 1].events[offset]
            if criterion.selects(event.type, event.tags):
                found[place] = max(offset, found.get(place, 0))
        return found

    def _near(self, criterion: Criterion) -> list[list[tuple[int, int]]]:
        if criterion.tags:
            return [self._by_tag.get(criterion.tags[0], [])]
        if criterion.types:
            return [self._by_type.get(each, []) for each in criterion.types]
        return [self._all]


def outcomes_of(batch: Sequence[Append], row: Mapping[str, Any]) -> list[Outcome]:
    """Return the outcomes that ``log_append_digests`` has answered: positions from the head on for all but the odd ones."""
    odd = dict(zip(row["places"], zip(row["firsts"], row["lasts"], strict=True), strict=True))
    outcomes: list[Outcome] = []
    last = row["head"]
    for place, append in enumerate(batch, 1):
        if place not in odd:
            last += len(append.events)
            outcomes.append(Appended(last - len(append.events) + 1, last))
            continue
        first, then = odd[place]
        outcomes.append(_odd(first, then))
    return outcomes


def _odd(first: int, last: int) -> Outcome:
    if first == _IN_CONFLICT:
        return Conflict(last)
    return Reused(_IN_CONFLICT - first, last) if first < 0 else Appended(first, last, repeated=True)
