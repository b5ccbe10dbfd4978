"""The bridge: a follower that hears of a source by one transport and publishes by another, and keeps nothing but its place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing

from twofold.followers import Block, Checkpoint, Claim, FollowerStore
from twofold.log import Batch
from twofold.messaging.deliveries import Deliveries
from twofold.messaging.message import Delivery, Published


class BridgeHandler:
    """Carries what one source publishes over to another transport, at its positions, each event at least once."""

    def __init__(self, group: str, source: str, heard: Deliveries, told: Deliveries, store: FollowerStore) -> None:
        self.name = f"bridge:{source}"
        self._group = group
        self._source = source
        self._heard = heard
        self._told = told
        self._store = store
        self._position = 0
        self._claim: Claim

    async def batches(self, after: int) -> AsyncIterator[Batch[Published]]:
        async with aclosing(self._heard.subscribe(self._group, self._source, after)) as deliveries:
            async for delivery in deliveries:
                after = max(after, delivery.position)
                yield Batch(delivery.events, after, after)

    async def start(self, claim: Claim) -> Collection[str]:
        self._claim = claim
        self._position = claim.position
        return ()

    async def apply(self, events: Sequence[Published], position: int, blocked: Mapping[str, Block]) -> None:
        # What comes again was published, and is behind the place from which this delivery goes on.
        new = [event for event in events if not event.position or event.position > self._position]
        await self._told.publish(Delivery(self._source, new, position, self._position))
        await self._store.commit(Checkpoint(self._claim, position))
        self._position = position

    async def retry(self, keys: Sequence[str]) -> Collection[str]:
        return keys
