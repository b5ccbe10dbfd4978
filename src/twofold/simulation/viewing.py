"""An oracle for views: wherever a follower stands, its rows are a fresh fold of what it has handled, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import select

from twofold.declaration import Declaration
from twofold.folding import Fold, fold_of
from twofold.followers import Parked, Progress, checkpoints, parking, storable_key
from twofold.followers.shadow import shadowed
from twofold.log import RecordedEvent
from twofold.messages import Event
from twofold.processes import SCHEDULES
from twofold.simulation.concerned import concerned
from twofold.simulation.followed import writing
from twofold.simulation.violations import Violation
from twofold.simulation.wire import at_once
from twofold.views import Layout, View, ViewStore, layout
from twofold.views.tables import table_for


def view_violations(
    now: Declaration,
    views: Sequence[type[View]],
    events: Sequence[RecordedEvent],
    store: ViewStore,
    *,
    may_park: bool = False,
) -> Iterator[Violation]:
    """Yield what is wrong with views of a service as they are now. The store answers at once.

    What is not declared ``now`` any more goes soon; until then it may park what only newer code can read.
    """
    parked = at_once(parking.parked(store))
    yield from _of_parked(now, parked, may_park=may_park)
    progress = at_once(checkpoints.progress(store))
    for view in views:
        table = layout(view).table
        segments = [each for each in progress if each.follower == table]
        aside = {(each.key, each.position) for each in parked if each.follower == table}
        handled = [*_handled(fold_of(view), events, segments)]
        where = f"{now.name}: {table} at {', '.join([str(each.position) for each in segments])}"
        yield from _overtaken(handled, aside, where)
        found = rows_of(store, layout(view)) if segments else {}
        yield from differences("A view is a fold of what it has handled.", where, _folded(view, handled, aside), found)


def _of_parked(now: Declaration, parked: Sequence[Parked], *, may_park: bool) -> Iterator[Violation]:
    """Yield what is parked for good, where no row was refused."""
    followed = {*now.followers, *now.starts, SCHEDULES}
    for each in parked:
        follower = shadowed(each.follower) or each.follower
        is_refused = may_park and follower in writing(now)
        if each.error and not each.retry_at_us and follower in followed and not is_refused:
            yield Violation(
                "Nothing is parked.", f"{now.name}: {each.follower}, {each.key}, position {each.position}",
                "that it is handled", each.error,
            )  # fmt: skip


def differences(rule: str, where: str, expected: Mapping[Any, Any], found: Mapping[Any, Any]) -> Iterator[Violation]:
    """Yield in which rows, by their keys, what should be there and what is there are not the same."""
    for key in {**expected, **found}:
        if expected.get(key) != found.get(key):
            yield Violation(rule, where, repr(expected.get(key)), repr(found.get(key)))


def rows_of(store: ViewStore, shape: Layout) -> dict[Any, Any]:
    """Return all rows of a table by their keys."""
    rows = [shape.row(**row._mapping) for row in at_once(store.select(select(table_for(shape))))]
    return {row.key: row for row in rows}


class _Handled(msgspec.Struct, frozen=True):
    """An event that a follower has handled for a key, or parked for it."""

    position: int
    type: str
    key: Any
    parked_as: str
    event: Event


def _handled(fold: Fold[Any], events: Sequence[RecordedEvent], segments: Sequence[Progress]) -> Iterator[_Handled]:
    reached: dict[str, int] = {}
    for recorded in events:
        for key, event in concerned(fold, recorded):
            text = storable_key(fold.key.of(key))
            if text not in reached:
                reached[text] = next((each.position for each in segments if each.segment.owns(text)), 0)
            if recorded.position <= reached[text]:
                yield _Handled(recorded.position, recorded.type, key, text, event)


def _overtaken(handled: Sequence[_Handled], aside: set[tuple[str, int]], where: str) -> Iterator[Violation]:
    waiting: dict[str, int] = {}
    for each in handled:
        if (each.parked_as, each.position) in aside:
            waiting.setdefault(each.parked_as, each.position)
        elif each.parked_as in waiting:
            yield Violation(
                "What comes behind a parked event of its key waits.", f"{where}, {each.parked_as}",
                f"position {each.position} parked behind {waiting[each.parked_as]}", "that it was handled",
            )  # fmt: skip


def _folded(view: Any, handled: Sequence[_Handled], aside: set[tuple[str, int]]) -> dict[Any, Any]:
    """Fold what was handled, without what is parked. Where a step raises an error, that stands in the row's place."""
    steps = fold_of(view).steps
    rows: dict[Any, Any] = {}
    for each in handled:
        before = rows.pop(each.key, None)
        if isinstance(before, Exception) or (each.parked_as, each.position) in aside:
            row = before
        else:
            _, step = steps[each.type]
            row = _evolved(step, view(key=each.key) if before is None else before, each.event)
        if row is not None:
            rows[each.key] = row
    return rows


def _evolved(step: Callable[[Any, Event], Any], row: Any, event: Event) -> Any:
    try:
        return step(row, event)
    except Exception as error:
        return error
