"""Putting what a source has published back into the order of its log, by whatever way it has come."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Generic, TypeVar

import msgspec

from twofold.errors import EventsMissing, LogCorrupted
from twofold.messaging.message import Delivery, Published

T = TypeVar("T")

_REMEMBERED_EVENTS = 10_000


class InOrder(msgspec.Struct, Generic[T], frozen=True):
    """What may be handed on now, and the tokens of all that is settled with it, of repetitions as well."""

    delivery: Delivery
    tokens: list[T]


class Resequencer(Generic[T]):
    """Takes parts of what one source has published as a broker brings them, and gives deliveries in the order of the log.

    A part is a delivery that says after which position it begins; so whether something is missing before it is known without
    a look at any other partition. A part that comes again adds nothing, and one that comes too early is held until what
    belongs before it is there. What has no position goes on at once. Each part comes with a ``token``, by which whoever
    brings it knows what is settled::

        >>> waiting = Resequencer[str]("sales", after=0)
        >>> waiting.add(Delivery("sales", [], position=2, after=1), "second")
        >>> waiting.take() is None
        True
        >>> waiting.add(Delivery("sales", [], position=1, after=0), "first")
        >>> taken = waiting.take()
        >>> taken.delivery.position, taken.tokens
        (2, ['first', 'second'])
    """

    def __init__(self, source: str, after: int, ids: dict[int, str] | None = None) -> None:
        """Begin after a position; ``ids`` are those of events before, as far as they are remembered, and are kept up."""
        self.source = source
        self.reached = after
        """The position up to which all that has come is in order."""
        self._ids = {} if ids is None else ids
        self._early: list[tuple[int, int, Delivery, T]] = []
        self._number = 0
        self._begin()

    def _begin(self) -> None:
        self._events: list[Published] = []
        self._tokens: list[T] = []
        self._redelivered = 0
        self._after = self.reached

    def add(self, part: Delivery, token: T) -> None:
        """Take a part.

        Raises:
            LogCorrupted: the source has published another event at the same position before.
        """
        if part.after > self.reached:
            # The number keeps apart what begins at the same position, as parts that come again may.
            self._number += 1
            heappush(self._early, (part.after, self._number, part, token))
            return
        self._append(part, token)
        while self._early and self._early[0][0] <= self.reached:
            *_, part, token = heappop(self._early)
            self._append(part, token)

    def _append(self, part: Delivery, token: T) -> None:
        new = [event for event in part.events if self._is_new(event)]
        self._events += new
        self._tokens.append(token)
        self._redelivered += min(part.redelivered, len(new))
        self.reached = max(self.reached, part.position)

    def _is_new(self, event: Published) -> bool:
        if not event.position:
            return True
        if event.position > self.reached:
            self._remember(event)
            return True
        before = self._ids.get(event.position, event.id)
        if before != event.id:
            raise LogCorrupted(
                f"{self.source} has published event {event.id} at position {event.position}, and event {before} at the same "
                f"before: somebody has replaced the log of {self.source} by an older or another one, and it has gone on. "
                "Restore it, or start those who hear it anew as well."
            )
        return False

    def _remember(self, event: Published) -> None:
        self._ids[event.position] = event.id
        if len(self._ids) > _REMEMBERED_EVENTS:
            del self._ids[next(iter(self._ids))]

    def take(self) -> InOrder[T] | None:
        """Return what has come in order since the last time, None if nothing has."""
        if not self._tokens:
            return None
        delivery = Delivery(self.source, self._events, self.reached, self._after, self._redelivered)
        taken = InOrder(delivery, self._tokens)
        self._begin()
        return taken

    @property
    def events(self) -> int:
        """How many events `take` would return."""
        return len(self._events)

    @property
    def held(self) -> int:
        """How many parts have come too early."""
        return len(self._early)

    def missing(self) -> EventsMissing:
        """Return an error that says what has not come, for whoever has waited long enough for it."""
        return EventsMissing(
            f"What {self.source} has published after position {self.reached} and up to {self._early[0][0]} has not come, "
            f"and {self.held} messages that follow it have. If its relay or a part of the broker is away, it comes when that "
            "is back. If the broker has removed it (by age, size or hand), have it published again: twofold publish-again "
            f"module:{self.source}."
        )
