"""What a log checks of the positions that a store gives: those of what is appended, and again those of what is read."""

from __future__ import annotations

from collections.abc import Sequence

from twofold.errors import LogCorrupted
from twofold.log.model import ALL, Append, Appended, Conflict, Criteria, Outcome, RecordedEvent, Reused, StoredPayload

_OTHERS = {Conflict, Reused}


def check_read(events: Sequence[RecordedEvent], criteria: Criteria, after: int, limit: int, *, backwards: bool) -> None:
    """Check that events are in order, behind a position (or before it) and not more than were asked for.

    Raises:
        LogCorrupted: they are not, or all were asked for and one is not there.
    """
    if backwards:
        in_order = _is_in_order(events[::-1], 0) and (not events or not after or events[0].position < after)
    elif criteria == ALL:
        _check_contiguous(events, after)
        in_order = True
    else:
        in_order = _is_in_order(events, after)
    if not in_order or len(events) > limit:
        raise _wrong(events, after, limit)


def _is_in_order(events: Sequence[RecordedEvent], after: int) -> bool:
    # It is done for every event that is read: a loop is the fastest.
    for event in events:
        position = event.position
        if position <= after:
            return False
        after = position
    return True


def _check_contiguous(events: Sequence[RecordedEvent], after: int) -> None:
    expected = max(after, 0)
    for event in events:
        expected += 1
        if event.position != expected:
            raise LogCorrupted(
                f"The log has no event at position {expected}, though it has later ones. Positions have no gaps, so rows were "
                "lost or changed by hand: stop the service and restore the database from a backup."
            )


def check_history(payloads: Sequence[StoredPayload], after: int, limit: int) -> None:
    """Check what a state is folded from by its ends alone, as one takes longer to fold than to check.

    Raises:
        LogCorrupted: it is not behind the position, not in order, or more than was asked for.
    """
    if payloads:
        first, last, count = payloads[0].position, payloads[-1].position, len(payloads)
        if not (first > after and last - first + 1 >= count and count <= limit):
            raise _wrong(payloads, after, limit)


def are_answers(outcomes: Sequence[Outcome], appends: Sequence[Append], known: int) -> bool:
    """Say whether outcomes answer their appends: new events have positions in a row, behind a known one.

    What was appended before, under the same id, may have any.
    """
    last = 0
    for outcome, append in zip(outcomes, appends, strict=True):
        if type(outcome) is not Appended:
            if type(outcome) not in _OTHERS:
                return False
            continue
        first, end = outcome.first, outcome.last
        if type(first) is not int or type(end) is not int or first < 1:
            return False
        if not outcome.repeated:
            if (first != last + 1 if last else first <= known) or end - first + 1 != len(append.events):
                return False
            last = end
    return True


def _wrong(found: Sequence[RecordedEvent | StoredPayload], after: int, limit: int) -> LogCorrupted:
    return LogCorrupted(
        f"The store gave {len(found)} events from position {found[0].position} to {found[-1].position}, where up to {limit} "
        f"were asked for, in order, from {after} on. Its adapter is at fault: `twofold.testing.LogConformance` tells where."
    )
