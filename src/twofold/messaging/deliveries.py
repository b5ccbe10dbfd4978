"""The facade of a transport: what is handed over and what comes is checked alike, and told to whoever listens."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from twofold.errors import LogCorrupted
from twofold.messaging.message import Delivery
from twofold.messaging.transport import Transport
from twofold.telemetry import Telemetry
from twofold.telemetry.events import TransportDelivered, TransportPublished


class Deliveries:
    """What a service publishes to a transport, and hears from it. An adapter carries, and need do nothing besides."""

    def __init__(self, transport: Transport, telemetry: Telemetry) -> None:
        self._transport = transport
        self._telemetry = telemetry

    @property
    def pushes(self) -> bool:
        """Whether a source has to publish; see `Transport`."""
        return self._transport.pushes

    async def publish(self, delivery: Delivery) -> None:
        """Hand a delivery over, and return once no subscriber can miss it any more."""
        if flaw := _flaw(delivery, delivery.source):
            raise AssertionError(f"what is published is no delivery: {flaw}")
        began = self._telemetry.began()
        await self._transport.publish(delivery)
        if began is not None:
            self._telemetry.emit(TransportPublished(self._telemetry.since(began), len(delivery.events)))

    async def subscribe(self, group: str, source: str, after: int) -> AsyncGenerator[Delivery, None]:
        """Yield a source's deliveries to a group; asking for the next one says that the last one is settled.

        Raises:
            LogCorrupted: what comes is not what the source can have published.
        """
        async with aclosing(self._transport.subscribe(group, source, after)) as deliveries:
            async for delivery in deliveries:
                if flaw := _flaw(delivery, source):
                    raise LogCorrupted(
                        f"The transport has brought {group} what {source} cannot have published: {flaw}. Look at what carries "
                        "it, or at its adapter: `twofold.testing.TransportConformance` tells where."
                    )
                self._tell(delivery)
                yield delivery

    def _tell(self, delivery: Delivery) -> None:
        if self._telemetry.has_listeners:
            events = delivery.events
            age_seconds = self._telemetry.age(events[0].recorded_at_us) if events else 0.0
            self._telemetry.emit(TransportDelivered(len(events), delivery.redelivered, age_seconds, delivery.source))

    async def close(self) -> None:
        """Let go of connections."""
        await self._transport.close()


def _flaw(delivery: Delivery, source: str) -> str:
    """Return what is wrong with a delivery of a source, '' if nothing is."""
    if delivery.source != source:
        return f"it is of {delivery.source}"
    if delivery.after > delivery.position:
        return f"it begins after {delivery.after} and goes up to {delivery.position}"
    position = delivery.after
    for event in delivery.events:
        if event.source != source:
            return f"its event {event.id} is of {event.source}"
        if event.position and not position < event.position <= delivery.position:
            return f"its event {event.id} has position {event.position}, after {position} and up to {delivery.position}"
        position = event.position or position
    return ""
