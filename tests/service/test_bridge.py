"""A bridge carries what is published from one transport to another: all of it, in order, and once, whatever ends meanwhile."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.messaging.service_pair import Demand, DemandFor, Sell, buying, till
from tests.support.waiting import until
from twofold.adapters.feed import FeedTransport
from twofold.clock import SystemClock
from twofold.errors import SettingsError
from twofold.followers import checkpoints
from twofold.messaging import BrokerTransport
from twofold.service.bridge import bridge
from twofold.simulation.chance import Chance
from twofold.simulation.disks import BrokerDisk
from twofold.simulation.faults import Faults, Mishaps
from twofold.simulation.transport import simulated_transport
from twofold.simulation.wire import Wire
from twofold.testing import running

FAULTS = Faults(repeated_delivery=0.3, unknown_outcome=0.2, refused_write=0.2)


def broker(disk: BrokerDisk, faults: Faults = FAULTS) -> BrokerTransport[Any]:
    return simulated_transport(disk, Wire(Mishaps(Chance(3, "wire"), faults)), SystemClock())


def test_what_is_published_on_one_side_is_heard_on_the_other_once(tmp_path: Path) -> None:
    """By two processes one after the other, of which each may have published what the other's checkpoint does not know of."""

    async def scenario() -> None:
        here, there = BrokerDisk(), BrokerDisk()
        carried = partial(bridge, "bridge", ["till"], views=f"sqlite:///{tmp_path}/bridge.db")
        async with (
            running(till, transport=broker(here)) as tills,
            running(buying, transport=broker(there)) as buyers,
        ):
            for number in range(1, 7):
                async with carried(heard=broker(here), told=broker(there)):
                    receipt = await tills.send(Sell(item="tea", units=number))
                    demand = await buyers.ask(DemandFor(item="tea"), after=receipt, timeout_seconds=30)
                assert demand == Demand(key="tea", sales=number, units=sum(range(number + 1)))

    asyncio.run(scenario())


def test_two_processes_of_a_bridge_share_its_sources(tmp_path: Path) -> None:
    """One carries at a time, so its place is one."""

    async def scenario() -> None:
        here, there = BrokerDisk(), BrokerDisk()
        carried = partial(bridge, "bridge", ["till"], views=f"sqlite:///{tmp_path}/bridge.db")
        async with (
            running(till, transport=broker(here, Faults())) as tills,
            carried(heard=broker(here, Faults()), told=broker(there, Faults())) as one,
            carried(heard=broker(here, Faults()), told=broker(there, Faults())) as other,
        ):
            receipt = await tills.send(Sell(item="tea"))

            async def is_carried() -> bool:
                return await checkpoints.position(one._store, "bridge:till") == receipt.position

            await until(is_carried)
            assert len([*one.followers(), *other.followers()]) == 1
        assert (
            len([each for some in there.messages.values() for each in some if each.attributes["type"] == "Sold"]) == 1
        )

    asyncio.run(scenario())


def test_nothing_is_published_to_a_log(tmp_path: Path) -> None:
    """Whoever mixes up the two sides is told when it starts."""

    async def scenario() -> None:
        feed = FeedTransport({"till": "http://127.0.0.1:1"}, SystemClock())
        with pytest.raises(SettingsError, match="Name a broker"):
            async with bridge("bridge", ["till"], broker(BrokerDisk()), feed, views=f"sqlite:///{tmp_path}/bridge.db"):
                raise AssertionError("it must not start")

    asyncio.run(scenario())
