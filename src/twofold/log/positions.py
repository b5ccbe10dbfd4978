"""What a log checks of the positions that a store gives: those of what is appended, and again those of what is read."""

from __future__ import annotations

from collections.abc import Sequence
from operator import gt, lt

from twofold.errors import LogCorrupted
from twofold.log.model import ALL, Append, Appended, Conflict, Criteria, Outcome, RecordedEvent, Reused, StoredPayload

_OTHERS = {Conflict, Reused}


def check_read(events: Sequence[RecordedEvent], criteria: Criteria, after: int, limit: int, *, backwards: bool) -> None:
    """Check that events are in order, behind a position (or before it) and not more than were asked for.

    Raises:
        LogCorrupted: they are not, or all were asked for and one is not there.
    """
    if not events:
        return
    positions = [event.position for event in events]
    if criteria == ALL and not backwards:
        _check_contiguous(positions, max(after, 0) + 1)
    in_order = all(map(gt if backwards else lt, positions, positions[1:]))
    begins = (not after or positions[0] < after) if backwards else positions[0] > after
    if not (in_order and begins and len(positions) <= limit):
        raise _wrong(positions, after, limit)


def check_history(payloads: Sequence[StoredPayload], after: int, limit: int) -> None:
    """Check what a state is folded from by its ends alone, as one takes longer to fold than to check.

    Raises:
        LogCorrupted: it is not behind the position, not in order, or more than was asked for.
    """
    if payloads:
        first, last, count = payloads[0].position, payloads[-1].position, len(payloads)
        if not (first > after and last - first + 1 >= count and count <= limit):
            raise _wrong([first, last], after, limit)


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


def _check_contiguous(positions: Sequence[int], first: int) -> None:
    expected = list(range(first, first + len(positions)))
    if positions != expected:
        gap = next(want for want, have in zip(expected, positions, strict=True) if want != have)
        raise LogCorrupted(
            f"The log has no event at position {gap}, though it has later ones. Positions have no gaps, so rows were "
            "lost or changed by hand: stop the service and restore the database from a backup."
        )


def _wrong(positions: Sequence[int], after: int, limit: int) -> LogCorrupted:
    return LogCorrupted(
        f"The store gave {len(positions)} events from position {positions[0]} to {positions[-1]}, where up to {limit} were "
        f"asked for from {after} on, in order. Its adapter is at fault: `twofold.testing.LogConformance` tells where."
    )
