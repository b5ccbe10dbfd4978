"""An oracle for views: wherever a follower stands, its rows are a fresh fold of what it has handled, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select

from twofold.folding import fold_of
from twofold.followers import Parked, Progress, checkpoints, parking, storable_key
from twofold.log import RecordedEvent
from twofold.service import Service
from twofold.simulation.concerned import concerned
from twofold.simulation.violations import Violation
from twofold.simulation.wire import at_once
from twofold.views import ViewStore, layout
from twofold.views.tables import table_for

_MOST_PARKED = 1_000_000


def view_violations(
    service: Service, events: Sequence[RecordedEvent], store: ViewStore, *, may_park: bool = False
) -> Iterator[Violation]:
    """Yield what is wrong with a service's views as they are now. The store answers at once."""
    parked = at_once(parking.parked(store, limit=_MOST_PARKED))
    if not may_park:
        for each in parked:
            if each.error:
                yield Violation(
                    "Nothing is parked.", f"{service.name}: {each.follower}, {each.key}, position {each.position}",
                    "that it is handled", each.error,
                )  # fmt: skip
    progress = at_once(checkpoints.progress(store))
    for view in service.declaration.folded:
        shape = layout(view)
        segments = [each for each in progress if each.follower == shape.table]
        aside = [each for each in parked if each.follower == shape.table]
        found = {row.key: row for row in _rows(store, shape)} if segments else {}
        expected = _folded(view, events, segments, aside)
        for key in {**expected, **found}:
            if expected.get(key) != found.get(key):
                stands = ", ".join([f"{each.position}" for each in segments])
                yield Violation(
                    "A view is a fold of what it has handled.", f"{service.name}: {shape.table} at {stands}",
                    repr(expected.get(key)), repr(found.get(key)),
                )  # fmt: skip


def _rows(store: ViewStore, shape: Any) -> list[Any]:
    return [shape.row(**row._mapping) for row in at_once(store.select(select(table_for(shape))))]


def _folded(
    view: Any, events: Sequence[RecordedEvent], segments: Sequence[Progress], parked: Sequence[Parked]
) -> dict[Any, Any]:
    """Fold what the segments have handled, without what is parked."""
    fold = fold_of(view)
    aside = {(each.key, each.position) for each in parked}
    rows: dict[Any, Any] = {}
    handled: dict[Any, int] = defaultdict(int)
    for recorded in events:
        for key, event in concerned(fold, recorded):
            text = storable_key(fold.key.of(key))
            if key not in handled:
                handled[key] = next((each.position for each in segments if each.segment.owns(text)), 0)
            if recorded.position > handled[key] or (text, recorded.position) in aside:
                continue
            _, step = fold.steps[recorded.type]
            row = step(rows.get(key, view(key=key)), event)
            rows.pop(key, None)
            if row is not None:
                rows[key] = row
    return rows
