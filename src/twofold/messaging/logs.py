"""A transport within a system: its services follow each other's logs, which every process of the system has open."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping

from twofold.messaging.message import Delivery
from twofold.messaging.outbox import Outbox
from twofold.messaging.transport import check_not_replaced


class LogTransport:
    """Reads what the services of a system publish from their logs, in whichever process an inbox is followed.

    ``outboxes`` are looked up when something is subscribed to, so that they may be filled in later.
    """

    pushes = False

    def __init__(self, outboxes: Mapping[str, Outbox]) -> None:
        self._outboxes = outboxes

    async def publish(self, delivery: Delivery) -> None:
        raise NotImplementedError("What is in the log is published; nothing has to be pushed.")

    async def subscribe(self, group: str, source: str, after: int) -> AsyncGenerator[Delivery, None]:
        outbox = self._outboxes[source]
        check_not_replaced(group, source, after, await outbox.end())
        async for batch in outbox.follow(after):
            yield outbox.delivery(batch.events, batch.position, after)
            after = batch.position

    async def close(self) -> None:
        pass
