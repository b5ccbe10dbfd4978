"""The inbox: a follower of another service that records what it hears in the own log, once, before anything reacts."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing

from twofold.clock import Clock
from twofold.errors import ValueRefused
from twofold.followers import Block, Checkpoint, Claim, FollowerStore
from twofold.log import Batch, ForeignEvent, Log, Reused, Ticket, foreign_event
from twofold.messages import Event, Metadata, encode
from twofold.messaging.deliveries import Deliveries
from twofold.messaging.message import Published
from twofold.messaging.names import inbox_name
from twofold.telemetry.events import InboxRecorded

_logger = logging.getLogger("twofold.messaging")


class InboxHandler:
    """Records the events of one source that the service subscribes to, under ``source.Type``, if they are not for others.

    The data is recorded as it came, with whatever fields the subscriber's type does not read. An event that does not fit
    the type is recorded too, loudly: the views that want it park it until the type is mended. One that no log takes is left
    out, loudly, and what comes after it goes on.
    """

    def __init__(
        self,
        service: str,
        source: str,
        types: Iterable[type[Event]],
        log: Log,
        store: FollowerStore,
        deliveries: Deliveries,
        clock: Clock,
    ) -> None:
        self.name = inbox_name(source)
        self._service = service
        self._source = source
        self._types = {event.message_name: event for event in types}
        self._log = log
        self._store = store
        self._deliveries = deliveries
        self._clock = clock
        self._claim: Claim

    async def batches(self, after: int) -> AsyncIterator[Batch[Published]]:
        async with aclosing(self._deliveries.subscribe(self._service, self._source, after)) as deliveries:
            async for delivery in deliveries:
                # What is delivered again is older than what has been settled, and takes nothing of that back.
                after = max(after, delivery.position)
                yield Batch(delivery.events, after, after)

    async def start(self, claim: Claim) -> Collection[str]:
        self._claim = claim
        return ()

    async def apply(self, events: Sequence[Published], position: int, blocked: Mapping[str, Block]) -> None:
        began = self._log.telemetry.began()
        refused = await self._record(events)
        if began is not None:
            wanted = sum(self._kind_of(event) is not None for event in events)
            seconds = self._log.telemetry.since(began)
            self._log.telemetry.emit(InboxRecorded(seconds, wanted - len(refused), len(refused), self._source))
        for event, reason in refused:
            # It would be refused again and again, and all that comes after it would wait.
            _logger.error(
                "%s has published event %s, of type %s, at position %d, which cannot be recorded and is left out: %s",
                event.source, event.id, event.type, event.position, reason,
            )  # fmt: skip
        await self._store.commit(Checkpoint(self._claim, position))

    async def _record(self, events: Sequence[Published]) -> list[tuple[Published, str]]:
        """Record what is subscribed to; return the events that never can be, and why."""
        refused: list[tuple[Published, str]] = []
        tickets: list[tuple[Published, Ticket]] = []
        last: Ticket | None = None
        for event in events:
            kind = self._kind_of(event)
            if kind is not None:
                found = self._foreign(event, kind)
                try:
                    # They are queued in order and share commits; if one commit fails, the next one must not overtake it. A
                    # repetition is recognised by its id.
                    id = f"{event.source}/{event.id}"
                    last = self._log.submit([found.new], id=id, digest=found.digest, succeeds=last)
                    tickets.append((event, last))
                except ValueRefused as error:
                    refused.append((event, str(error)))
        for event, ticket in tickets:
            try:
                if isinstance(await ticket, Reused):
                    refused.append((event, "Another event is recorded under its id, and an id stands for one event."))
            except ValueRefused as error:
                refused.append((event, str(error)))
        return refused

    def _kind_of(self, event: Published) -> type[Event] | None:
        return self._types.get(f"{event.source}.{event.type}") if event.to in ("", self._service) else None

    def _foreign(self, event: Published, kind: type[Event]) -> ForeignEvent:
        metadata = Metadata(
            correlation=event.correlation,
            causation=event.id,
            actor=event.actor,
            traceparent=event.traceparent,
            source=event.source,
            source_id=event.id,
            source_position=event.position,
        )
        found = foreign_event(kind, event.version, bytes(event.data), self._clock.new_id(), encode(metadata))
        if found.misfit:
            _logger.error(
                "%s has published event %s, which does not fit %s.%s: %s. It is recorded, and views that want it park it.",
                event.source, event.id, kind.__module__, kind.__qualname__, found.misfit,
            )  # fmt: skip
        return found

    async def retry(self, keys: Sequence[str]) -> Collection[str]:
        return keys
