"""What a log takes over from another as it is, for adapters that hold the log's lock meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from twofold.errors import LogDiverged
from twofold.log.model import ProcessedId, RecordedEvent
from twofold.log.rules import check_processed, check_recorded

_MEANING = (
    "This is another log, or somebody writes to it while it is being restored. Nothing of this batch was stored. Restore "
    "into an empty place, and let nobody use it before all is there."
)


def lacking(events: Sequence[RecordedEvent], head: int, there: Sequence[str]) -> Sequence[RecordedEvent]:
    """Return the events that are not in the log yet.

    Args:
        events: what is to be in the log, in a row.
        head: the position of the last event in the log.
        there: the ids that the log has from the first of these positions on.

    Raises:
        LogDiverged: the log has other events there, or lacks what comes before.
        ValueRefused: no log takes one of them.
    """
    first = events[0].position
    if events[-1].position != first + len(events) - 1:
        raise AssertionError("events are restored in a row")
    if first > head + 1:
        raise LogDiverged(
            f"The log ends at position {head}, and what was to be restored goes on at {first}. {_MEANING}"
        )
    for event, found in zip(events, there, strict=False):
        if event.id != found:
            raise LogDiverged(
                f"The log has the event {found} at position {event.position}, where the {event.type} {event.id} was to be "
                f"restored. {_MEANING}"
            )
    new = events[len(there) :]
    for event in new:
        check_recorded(event)
    return new


def not_remembered(processed: Sequence[ProcessedId], remembered: Mapping[str, ProcessedId]) -> list[ProcessedId]:
    """Return the ids that the log does not remember yet; ``remembered`` has those that it does.

    Raises:
        LogDiverged: the log remembers another outcome or content of one.
        ValueRefused: no log takes one of them.
    """
    for each in processed:
        check_processed(each)
        known = remembered.get(each.key, each)
        if (known.first, known.last) != (each.first, each.last):
            raise LogDiverged(
                f"The log remembers the id {each.key} with the positions {known.first} to {known.last}, and not "
                f"{each.first} to {each.last}. {_MEANING}"
            )
        if not known.agrees(each):
            raise LogDiverged(f"The log remembers the id {each.key} with another content. {_MEANING}")
    return [each for each in processed if each.key not in remembered]


def tag_rows(events: Sequence[RecordedEvent]) -> Iterator[tuple[str, int, str]]:
    """Yield each tag of each event once, with the event's position and type."""
    for event in events:
        for tag in dict.fromkeys(event.tags):
            yield tag, event.position, event.type
