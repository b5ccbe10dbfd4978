"""The relay: a follower that publishes. The log is the outbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from twofold.followers import Block, Claim, FollowerStore, Settled
from twofold.log import Batch, Criterion, Log, Recorded
from twofold.messaging.message import Delivery, published
from twofold.messaging.transport import Transport


class RelayTarget:
    """Publishes events of some types to a transport, in the order of the log, each at least once."""

    name = "relay"

    def __init__(self, source: str, types: Sequence[str], log: Log, store: FollowerStore, transport: Transport) -> None:
        self._source = source
        self._criteria = (Criterion(types=tuple(types)),)
        self._log = log
        self._store = store
        self._transport = transport
        self._claim: Claim

    def batches(self, after: int) -> AsyncIterator[Batch[Recorded]]:
        return self._log.follow(self._criteria, after)

    async def start(self, claim: Claim) -> Collection[str]:
        self._claim = claim
        return ()

    async def apply(self, events: Sequence[Recorded], position: int, blocked: Mapping[str, Block]) -> None:
        await self._transport.publish(Delivery(self._source, [published(self._source, e) for e in events], position))
        await self._store.settle(Settled(self._claim, position))

    async def retry(self, lane: str) -> bool:
        return True
