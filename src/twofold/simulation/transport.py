"""A transport with a broker in a simulation: it keeps what is published, and delivers it late, and more than once."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from operator import getitem

from twofold.messaging import Delivery
from twofold.simulation.disks import Broker
from twofold.simulation.wire import Wire

_POLL_SECONDS = 0.5
_MOST_REPEATED = 4


class SimulatedTransport:
    """A process's way to the broker."""

    pushes = True

    def __init__(self, broker: Broker, wire: Wire) -> None:
        self._broker = broker
        self._wire = wire

    async def publish(self, delivery: Delivery) -> None:
        await self._wire.write(partial(self._broker.publish, delivery), f"a delivery up to {delivery.position}")

    async def subscribe(self, group: str, source: str, after: int) -> AsyncGenerator[Delivery, None]:
        mishaps = self._wire.mishaps
        deliveries, settled, key = self._broker.deliveries[source], self._broker.settled, (group, source)
        place = settled[key]
        while True:
            found = await self._wire.read(partial(getitem, deliveries, slice(place, None)))
            for delivery in found:
                yield delivery
                place = settled[key] = place + 1
                if mishaps.happens("repeated_delivery"):
                    place = max(0, place - 1 - mishaps.chance.below(_MOST_REPEATED))
                    break
            if not found:
                await self._broker.bell.wait(_POLL_SECONDS)

    async def close(self) -> None:
        """Do nothing: what a process has of a broker ends with it."""
