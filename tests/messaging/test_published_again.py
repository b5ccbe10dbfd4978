"""A broker that has lost some of what was published: that is noticed, told, and mended by an operator."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.messaging.service_pair import DemandFor, Sell, buying, till
from tests.support.waiting import until
from twofold.clock import SystemClock
from twofold.errors import NotFound
from twofold.followers import checkpoints
from twofold.limits import BrokerLimits
from twofold.messaging import RELAY, BrokerTransport, inbox_name
from twofold.operations.databases import opened
from twofold.operations.publishing import publish_again
from twofold.service import Running, Settings, read_settings
from twofold.simulation.chance import Chance
from twofold.simulation.disks import BrokerDisk
from twofold.simulation.faults import Faults, Mishaps
from twofold.simulation.transport import SimulatedBroker
from twofold.simulation.wire import Wire
from twofold.views import replacing


def transport_of(disk: BrokerDisk) -> BrokerTransport[Any]:
    """Return a transport over a broker that keeps what it has on a disk of this process."""
    wire = Wire(Mishaps(Chance(1, "wire"), Faults()))
    return BrokerTransport(SimulatedBroker(disk, wire), SystemClock(), BrokerLimits(missing_seconds=1))


def settings_of(folder: Path, service: str) -> Settings:
    return read_settings(
        service,
        {"TWOFOLD_LOG": f"sqlite:///{folder}/{service}.db", "TWOFOLD_VIEWS": f"sqlite:///{folder}/{service}-views.db"},
    )


async def has_reached(service: Running, follower: str, position: int) -> bool:
    return await checkpoints.position(service.views, follower) == position


async def is_told(service: Running, what: str) -> bool:
    return what in str(service.coordinator.failing())


def test_what_a_broker_has_lost_is_published_again(tmp_path: Path) -> None:
    """Whoever hears what comes after it stands still and says so, until it comes; and then each event counts once."""

    async def scenario() -> None:
        disk = BrokerDisk()
        settings = partial(settings_of, tmp_path)
        async with till.run(settings("till"), transport=transport_of(disk)) as tills:
            receipts = [await tills.send(Sell(item="tea", units=units)) for units in (1, 2)]
            await until(partial(has_reached, tills, RELAY, receipts[-1].position))
            disk.messages.clear()
            async with buying.run(settings("buying"), transport=transport_of(disk)) as buyers:
                last = await tills.send(Sell(item="tea", units=4))
                await until(partial(is_told, buyers, "twofold publish-again module:till"))
                async with opened(till.declaration, settings("till"), to_mend=True) as databases:
                    await publish_again(databases)
                demand = await buyers.ask(DemandFor(item="tea"), after=last, timeout_seconds=30)
                assert demand is not None
                assert (demand.sales, demand.units) == (3, 7)

    asyncio.run(scenario())


def test_who_has_forgotten_what_it_heard_hears_it_again(tmp_path: Path) -> None:
    """An inbox that goes back, as with a database from yesterday: who has followed it until then settles nothing for it."""

    async def scenario() -> None:
        disk = BrokerDisk()
        settings = partial(settings_of, tmp_path)
        async with (
            till.run(settings("till"), transport=transport_of(disk)) as tills,
            buying.run(settings("buying"), transport=transport_of(disk)) as buyers,
        ):
            receipts = [await tills.send(Sell(item="tea", units=units)) for units in (1, 2)]
            inbox = partial(has_reached, buyers, inbox_name("till"), receipts[-1].position)
            await until(inbox)
            await replacing.rewind(buyers.views, inbox_name("till"), ())
            async with opened(till.declaration, settings("till"), to_mend=True) as databases:
                await publish_again(databases)
            await until(inbox)
            demand = await buyers.ask(DemandFor(item="tea"), after=receipts[-1])
            assert demand is not None
            assert (demand.sales, demand.units) == (2, 3)

    asyncio.run(scenario())


def test_a_service_without_a_broker_publishes_nothing_again(tmp_path: Path) -> None:
    """It says what has to be there."""

    async def scenario() -> None:
        settings = settings_of(tmp_path, "till")
        async with till.run(settings) as tills:
            await tills.send(Sell(item="tea"))
        async with opened(till.declaration, settings, to_mend=True) as databases:
            with pytest.raises(NotFound, match="till has published nothing to a broker"):
                await publish_again(databases)

    asyncio.run(scenario())
