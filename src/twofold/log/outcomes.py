"""Deciding a batch of appends in order, for adapters that hold the log's lock meanwhile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from twofold.log.model import Append, Appended, Condition, Conflict, Criterion, NewEvent, Outcome, ProcessedId


def resolve(
    batch: Sequence[Append], head: int, processed: Mapping[str, ProcessedId], conflicts: Mapping[int, int]
) -> tuple[list[Outcome], list[NewEvent]]:
    """Say what becomes of each append, and which events enter the log after ``head``, in order.

    Args:
        batch: the appends, in the order in which they were asked for; each sees the accepted ones before it.
        head: the position of the last event in the log.
        processed: what the log remembers of those ids in the batch that it has seen before.
        conflicts: by index in the batch, the position of a stored event that breaks the append's conditions.
    """
    outcomes: list[Outcome] = []
    fresh = _Fresh(head)
    known = dict(processed)
    for index, append in enumerate(batch):
        outcome: Outcome
        if append.id and append.id in known:
            outcome = known[append.id].answers(append.digest)
        elif newer := conflicts.get(index) or _newer_in_batch(append.conditions, fresh, outcomes):
            outcome = Conflict(max(newer, 0))
        else:
            outcome = fresh.accept(append.events)
            if append.id:
                known[append.id] = ProcessedId(append.id, outcome.first, outcome.last, append.digest)
        outcomes.append(outcome)
    return outcomes, fresh.events


def _newer_in_batch(conditions: Sequence[Condition], fresh: _Fresh, outcomes: Sequence[Outcome]) -> int:
    """Return the position of an event in this batch that breaks a condition, -1 for a failed predecessor, or 0."""
    for condition in conditions:
        after = condition.after
        if condition.behind is not None:
            predecessor = outcomes[condition.behind]
            if not isinstance(predecessor, Appended) or predecessor.repeated:
                return -1
            after = predecessor.last
        for criterion in condition.criteria:
            if newer := fresh.newer(criterion, after):
                return newer
    return 0


class _Fresh:
    """The events accepted so far in a batch, found by tag and by type without looking at each."""

    def __init__(self, head: int) -> None:
        self._head = head
        self._by_tag: defaultdict[str, list[int]] = defaultdict(list)
        self._by_type: defaultdict[str, list[int]] = defaultdict(list)
        self.events: list[NewEvent] = []

    def accept(self, events: Sequence[NewEvent]) -> Appended:
        first = self._head + len(self.events) + 1
        for position, event in enumerate(events, first):
            for tag in event.tags:
                self._by_tag[tag].append(position)
            self._by_type[event.type].append(position)
        self.events.extend(events)
        return Appended(first, first + len(events) - 1)

    def newer(self, criterion: Criterion, after: int) -> int:
        """Return the position of an accepted event after ``after`` that the criterion selects, or 0."""
        for position in self._candidates(criterion):
            if position > after:
                event = self.events[position - self._head - 1]
                if criterion.selects(event.type, event.tags):
                    return position
        return 0

    def _candidates(self, criterion: Criterion) -> Iterable[int]:
        """Return the likely positions, the newest first, as an old one says nothing about those after it."""
        if criterion.tags:
            return reversed(self._by_tag.get(criterion.tags[0], ()))
        if criterion.types:
            return chain.from_iterable(reversed(self._by_type.get(each, ())) for each in criterion.types)
        return range(self._head + len(self.events), self._head, -1)
