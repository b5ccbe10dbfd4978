"""The inbox: a follower of another service that records what it hears in the own log, once, before anything reacts."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence

from twofold.clock import Clock
from twofold.followers import Block, Claim, FollowerStore, Settled
from twofold.log import Batch, ForeignEvent, Log, Reused, foreign_event
from twofold.messages import Event, Metadata, encode
from twofold.messaging.message import Published
from twofold.messaging.transport import Transport

_logger = logging.getLogger("twofold.messaging")


class InboxTarget:
    """Records the events of one source that the service subscribes to, under ``source.Type``.

    The data is recorded as it came, with whatever fields the subscriber's type does not read. An event that does not fit
    the type is recorded too, loudly: the views that want it park it until the type is mended.
    """

    def __init__(
        self,
        service: str,
        source: str,
        types: Iterable[type[Event]],
        log: Log,
        store: FollowerStore,
        transport: Transport,
        clock: Clock,
    ) -> None:
        self.name = inbox_name(source)
        self._service = service
        self._source = source
        self._types = {event.message_name: event for event in types}
        self._log = log
        self._store = store
        self._transport = transport
        self._clock = clock
        self._claim: Claim

    async def batches(self, after: int) -> AsyncIterator[Batch[Published]]:
        async for delivery in self._transport.subscribe(self._service, self._source, after):
            # What is delivered again is older than what has been settled, and takes nothing of that back.
            after = max(after, delivery.position)
            yield Batch(delivery.events, after, after)

    async def start(self, claim: Claim) -> Collection[str]:
        self._claim = claim
        return ()

    async def apply(self, events: Sequence[Published], position: int, blocked: Mapping[str, Block]) -> None:
        tickets = []
        for event in events:
            kind = self._types.get(f"{event.source}.{event.type}")
            if kind is not None:
                found = self._foreign(event, kind)
                # The tickets are queued in order and share commits; a repetition is recognised by its id.
                id = f"{event.source}/{event.id}"
                tickets.append((event, self._log.submit([found.new], id=id, digest=found.digest)))
        for event, ticket in tickets:
            if isinstance(await ticket, Reused):
                _logger.error(
                    "%s has published another event under the id %s, at position %d, than the one that is recorded here. An "
                    "id stands for one event, so this one is left out.", event.source, event.id, event.position,
                )  # fmt: skip
        await self._store.settle(Settled(self._claim, position))

    def _foreign(self, event: Published, kind: type[Event]) -> ForeignEvent:
        metadata = Metadata(
            correlation=event.correlation,
            causation=event.id,
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

    async def retry(self, lane: str) -> bool:
        return True


def inbox_name(source: str) -> str:
    """Return the follower's name of a source's inbox."""
    return f"inbox:{source}"
