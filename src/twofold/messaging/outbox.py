"""The outbox: what a service's log has for others. Nothing is stored for it; the log is the outbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from twofold.log import Batch, Criterion, Log, RecordedEvent
from twofold.messages import Event
from twofold.messaging.message import Delivery, published


class Outbox:
    """The events of some types in a source's log, in pages for whoever asks and in batches for whoever follows.

    ``addressee`` says which service an event is for, '' if for all. What the source has addressed to itself is not published.
    """

    def __init__(
        self,
        source: str,
        events: Iterable[type[Event]],
        log: Log,
        addressee: Callable[[RecordedEvent], str] = lambda _: "",
    ) -> None:
        self.source = source
        self._addressee = addressee
        types = tuple([event.message_name for event in events])
        self._criteria = (Criterion(types=types),) if types else ()
        self._log = log

    async def page(self, after: int, limit: int) -> Delivery:
        """Return what was published after a position; the page's own is less than that if the log ends before it.

        Raises:
            LogUnavailable: the log failed.
        """
        head = await self._log.head()
        events = await self._log.read(self._criteria, after, limit)
        position = events[-1].position if events else 0
        if len(events) < limit:
            position = max(head, position)
        return self.delivery(events, position, after)

    def follow(self, after: int) -> AsyncIterator[Batch[RecordedEvent]]:
        """Yield what was published after a position and then what comes, for ever."""
        return self._log.follow(self._criteria, after)

    async def end(self) -> int:
        """Return the position at which the log ends now."""
        return await self._log.head()

    def delivery(self, events: Sequence[RecordedEvent], position: int, after: int) -> Delivery:
        """Return all events after a position and up to another, as others get them."""
        addressed = [(event, self._addressee(event)) for event in events]
        return Delivery(
            self.source,
            [published(self.source, event, to) for event, to in addressed if to != self.source],
            position,
            after,
        )
