"""The facade in front of every transport: what cannot have been published is not recorded, whatever carries it."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest

from twofold.clock import SystemClock
from twofold.errors import LogCorrupted
from twofold.messaging import Deliveries, Delivery, Published
from twofold.telemetry import Telemetry


def published(position: int, source: str = "till") -> Published:
    return Published(f"id-{position}", source, "Sold", 1, "item:hat", position, 5, msgspec.Raw(b"{}"))


class Carrying:
    """A transport that hands on whatever it is given."""

    pushes = True

    def __init__(self, *deliveries: Delivery) -> None:
        self.deliveries = list(deliveries)
        self.is_open = True

    async def publish(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)

    async def subscribe(self, group: str, source: str, after: int) -> AsyncGenerator[Delivery, None]:
        for delivery in self.deliveries:
            yield delivery

    async def close(self) -> None:
        self.is_open = False


WRONG = {
    "of another service": Delivery("shop", [], 3),
    "with another service's event": Delivery("till", [published(1, "shop")], 3),
    "out of order": Delivery("till", [published(2), published(1)], 3),
    "with an event twice": Delivery("till", [published(2), published(2)], 3),
    "with an event behind its position": Delivery("till", [published(4)], 3),
    "with an event from before it begins": Delivery("till", [published(2)], 3, after=2),
    "that ends before it begins": Delivery("till", [], 3, after=4),
}


@pytest.mark.parametrize("delivery", WRONG.values(), ids=WRONG)
def test_a_delivery_that_cannot_be_is_not_heard(delivery: Delivery) -> None:
    """It would be recorded for good: the inbox stops, and says who brought it."""

    async def scenario() -> None:
        good = Delivery("till", [published(1), published(3)], 3)
        deliveries = Deliveries(Carrying(good, delivery), Telemetry(SystemClock()))
        heard = deliveries.subscribe("buying", "till", 0)
        assert await anext(heard) is good
        with pytest.raises(LogCorrupted, match="brought buying what till cannot have published"):
            await anext(heard)

    asyncio.run(scenario())


@pytest.mark.parametrize("delivery", list(WRONG.values())[1:], ids=list(WRONG)[1:])
def test_a_delivery_that_cannot_be_is_not_published(delivery: Delivery) -> None:
    """What others would refuse to hear is a fault of our own, and goes nowhere."""

    async def scenario() -> None:
        transport = Carrying()
        with pytest.raises(AssertionError, match="is no delivery"):
            await Deliveries(transport, Telemetry(SystemClock())).publish(delivery)
        assert not transport.deliveries

    asyncio.run(scenario())


def test_what_has_no_position_has_its_place_nowhere() -> None:
    """It comes from somebody who keeps no log, and is heard, and carried on by a bridge, between any others."""

    async def scenario() -> None:
        unplaced = Delivery("till", [published(1), published(0), published(2)], 2)
        deliveries = Deliveries(Carrying(unplaced), Telemetry(SystemClock()))
        assert await anext(deliveries.subscribe("buying", "till", 0)) is unplaced
        await deliveries.publish(unplaced)

    asyncio.run(scenario())


def test_what_is_delivered_again_may_be_older() -> None:
    """A transport may repeat what was not settled: who hears it knows what is recorded."""

    async def scenario() -> None:
        given = [Delivery("till", [published(3)], 3), Delivery("till", [published(1)], 1), Delivery("till", [], 5)]
        deliveries: Any = Deliveries(Carrying(*given), Telemetry(SystemClock()))
        assert [each async for each in deliveries.subscribe("buying", "till", 0)] == given

    asyncio.run(scenario())


def test_the_transport_is_closed_and_asked_whether_it_pushes() -> None:
    """All else is the transport's own."""
    transport = Carrying()
    deliveries = Deliveries(transport, Telemetry(SystemClock()))
    assert deliveries.pushes
    asyncio.run(deliveries.close())
    assert not transport.is_open
