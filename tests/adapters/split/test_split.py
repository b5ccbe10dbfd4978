"""Events by one broker and commands by another: a subscriber hears all of it in order, and settles each where it came from."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.adapters.split import SplitTransport, open_transport
from twofold.clock import SystemClock
from twofold.errors import LogUnavailable, SettingsError
from twofold.limits import Limits
from twofold.messaging import BrokerTransport, Delivery, Published
from twofold.simulation.chance import Chance
from twofold.simulation.disks import BrokerDisk
from twofold.simulation.faults import Faults, Mishaps
from twofold.simulation.transport import simulated_transport
from twofold.simulation.wire import Wire
from twofold.testing import TransportConformance

NO_FAULTS = Faults()


def broker(disk: BrokerDisk, seed: int = 1, faults: Faults = NO_FAULTS) -> BrokerTransport[Any]:
    return simulated_transport(disk, Wire(Mishaps(Chance(seed, "wire"), faults)), SystemClock())


def published(position: int, to: str = "") -> Published:
    return Published(
        f"id-{position}", "till", "Sold", 1, f"item:{position % 3}", position, 5, msgspec.Raw(b"{}"), to=to
    )


class TestSplitTransport(TransportConformance):
    @pytest.fixture
    def exchanges(self) -> Any:
        @asynccontextmanager
        async def exchange() -> AsyncIterator[SplitTransport]:
            transport = SplitTransport(broker(BrokerDisk()), broker(BrokerDisk()))
            yield transport
            await transport.close()

        return exchange


def test_each_half_goes_its_own_way() -> None:
    """A plain subscriber of the one broker does not see commands, and there is nothing else on the other one."""

    async def scenario() -> None:
        events, commands = BrokerDisk(), BrokerDisk()
        split = SplitTransport(broker(events), broker(commands))
        await split.publish(Delivery("till", [published(1), published(2, to="buying")], 4))
        for disk, position in ((events, "1"), (commands, "2")):
            kept = [message.attributes for messages in disk.messages.values() for message in messages]
            assert [each["position"] for each in kept] == [position]
            assert [each["through"] for each in kept] == ["4"]

    asyncio.run(scenario())


class Broken:
    """A transport to which nothing can be published, which it says after some turns of the event loop."""

    pushes = True

    def __init__(self, turns: int) -> None:
        self._turns = turns
        self.ended = 0

    async def publish(self, delivery: Delivery) -> None:
        for _ in range(self._turns):
            await asyncio.sleep(0)
        self.ended += 1
        raise LogUnavailable(f"It is away after {self._turns}.")

    def subscribe(self, group: str, source: str, after: int) -> AsyncGenerator[Delivery, None]:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


def test_a_half_that_fails_leaves_nothing_of_the_other_one_under_way() -> None:
    """What is published again would be published beside it, in whatever order."""

    async def scenario() -> None:
        slow = Broken(5)
        with pytest.raises(LogUnavailable, match="after 0"):
            await SplitTransport(Broken(0), slow).publish(Delivery("till", [published(1)], 1))
        assert slow.ended == 1

    asyncio.run(scenario())


@settings(max_examples=30)
@given(st.lists(st.lists(st.sampled_from(["", "buying"]), max_size=4), min_size=1, max_size=6), st.integers(0, 1000))
def test_both_halves_come_together_in_order(sizes: list[list[str]], seed: int) -> None:
    """Whichever of them is faster, and whatever comes again."""

    async def scenario() -> None:
        faults = Faults(repeated_delivery=0.3)
        split = SplitTransport(broker(BrokerDisk(), seed, faults), broker(BrokerDisk(), seed + 1, faults))
        position = 0
        for receivers in sizes:
            events = [published(position + number, to) for number, to in enumerate(receivers, 1)]
            await split.publish(Delivery("till", events, position + len(events) + 1, position))
            position += len(events) + 1
        heard: list[int] = []
        async with aclosing(split.subscribe("buying", "till", 0)) as deliveries, asyncio.timeout(10):
            async for delivery in deliveries:
                heard += [event.position for event in delivery.events]
                if delivery.position == position:
                    break
        after, expected = 0, []
        for receivers in sizes:
            expected += [after + number for number in range(1, len(receivers) + 1)]
            after += len(receivers) + 1
        assert heard == expected

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("url", "flaw"),
    [
        ("split:events=kafka://one", "has to say events=… and commands=…"),
        ("split:events=nothing://one,commands=amqp://two", "nothing"),
        ("split:events=feed:a=http://one,commands=feed:b=http://two", "Name a broker"),
    ],
)
def test_a_url_that_does_not_name_two_brokers_says_so(url: str, flaw: str) -> None:
    """When the service starts."""
    with pytest.raises(SettingsError, match=flaw):
        open_transport(url, SystemClock(), Limits(), ())
