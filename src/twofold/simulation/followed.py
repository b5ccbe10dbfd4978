"""How far the followers of a service have come that see things through, as oracles look at them."""

from __future__ import annotations

from collections.abc import Sequence

from twofold.clock import microseconds
from twofold.declaration import Declaration
from twofold.followers import Progress, checkpoints, parking
from twofold.log import RecordedEvent
from twofold.processes import FollowerBegan
from twofold.simulation.concerned import as_read
from twofold.simulation.wire import at_once
from twofold.views import ViewStore


class Reach:
    """Up to where a follower has handled the events of each key: its segment's checkpoint, or right before what is parked."""

    def __init__(self, follower: str, store: ViewStore) -> None:
        self._segments: Sequence[Progress] = [
            each for each in at_once(checkpoints.progress(store)) if each.follower == follower
        ]
        self._parked: dict[str, int] = {}
        for each in at_once(parking.parked(store, follower)):
            self._parked[each.key] = min(each.position, self._parked.get(each.key, each.position))

    def of(self, key: str) -> int:
        """Return the position of the last event of a key that is sure to be handled, or to be none of its business."""
        reached = next((each.position for each in self._segments if each.segment.owns(key)), 0)
        return min(reached, self._parked.get(key, reached + 1) - 1)


def writing(declaration: Declaration) -> set[str]:
    """Return the followers that park what they do because rows of theirs are refused: those of views, and event handlers."""
    return {*declaration.followers, *[each.follower for each in declaration.handlers]}


def began(declaration: Declaration, follower: str, events: Sequence[RecordedEvent]) -> int:
    """Return the position behind which a follower is told of everything, by where it is declared to begin."""
    start = declaration.starts[follower]
    if start == "first":
        return 0
    if start == "now":
        for each in events:
            if (
                each.type == FollowerBegan.message_name
                and as_read(FollowerBegan, each.version, each.data).follower == follower
            ):
                return each.position
        return len(events)
    since_us = microseconds(start)
    return next((each.position - 1 for each in events if each.recorded_at_us >= since_us), len(events))
