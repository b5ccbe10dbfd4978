"""Whom an event of a log concerns: the keys of which a fold changes the states."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twofold.folding import Fold
from twofold.log import NewEvent, RecordedEvent
from twofold.messages import Event, reader


def concerned(fold: Fold[Any], event: NewEvent | RecordedEvent) -> Iterator[tuple[Any, Event]]:
    """Yield each key whose state a fold changes by an event, and the event as its steps get it.

    One that does not fit its class changes nothing, as it comes from elsewhere perhaps, or from newer code: whoever follows
    sets it aside.
    """
    step = fold.steps.get(event.type)
    if step is not None:
        try:
            read = as_read(step[0], event.version, event.data)
        except Exception:
            return
        for key in fold.key.finder(type(read))(read):
            yield key, read


def as_read(kind: type[Event], version: int, data: bytes) -> Any:
    """Return an event as it is read from a log."""
    return reader(kind, version)(data)
