"""The relay: a follower that publishes. The log is the outbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from twofold.followers import Block, Checkpoint, Claim, FollowerStore
from twofold.log import Batch, RecordedEvent
from twofold.messaging.deliveries import Deliveries
from twofold.messaging.names import RELAY
from twofold.messaging.outbox import Outbox
from twofold.messaging.transport import check_not_replaced


class RelayHandler:
    """Publishes what is in the outbox to a transport that pushes, in the order of the log, each event at least once."""

    name = RELAY

    def __init__(self, outbox: Outbox, store: FollowerStore, deliveries: Deliveries) -> None:
        self._outbox = outbox
        self._store = store
        self._deliveries = deliveries
        self._claim: Claim
        self._position = 0

    async def batches(self, after: int) -> AsyncIterator[Batch[RecordedEvent]]:
        # A log that ends before would be waited with, and what it gets meanwhile would never be published.
        check_not_replaced(self.name, self._outbox.source, after, await self._outbox.end())
        async for batch in self._outbox.follow(after):
            yield batch

    async def start(self, claim: Claim) -> Collection[str]:
        self._claim = claim
        self._position = claim.position
        return ()

    async def apply(self, events: Sequence[RecordedEvent], position: int, blocked: Mapping[str, Block]) -> None:
        await self._deliveries.publish(self._outbox.delivery(events, position, self._position))
        await self._store.commit(Checkpoint(self._claim, position))
        self._position = position

    async def retry(self, keys: Sequence[str]) -> Collection[str]:
        return keys
