"""A broker that has lost some of what was published: that is noticed, told, and mended by an operator."""

import asyncio
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.messaging.service_pair import DemandFor, Sell, buying, till
from tests.support.waiting import until
from twofold import Receipt
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
                for _ in range(200):  # It is waited for again, which is no sign that it has come.
                    assert await is_told(buyers, "has not come")
                    await asyncio.sleep(0.01)
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


async def sold(folder: Path, disk: BrokerDisk, units: int) -> Receipt:
    """Sell something in a process of its own, and return when it is published."""
    async with till.run(settings_of(folder, "till"), transport=transport_of(disk)) as tills:
        receipt = await tills.send(Sell(item="tea", units=units))
        await until(partial(has_reached, tills, RELAY, receipt.position))
        return receipt


def test_a_relay_that_is_further_than_its_log_says_so(tmp_path: Path) -> None:
    """The log is one from before; until it has grown past what was published, nothing of it would be."""

    async def scenario() -> None:
        disk, log = BrokerDisk(), tmp_path / "till.db"
        await sold(tmp_path, disk, 1)
        shutil.copy(log, tmp_path / "backup.db")
        await sold(tmp_path, disk, 2)
        shutil.copy(tmp_path / "backup.db", log)
        async with till.run(settings_of(tmp_path, "till"), transport=transport_of(disk)) as tills:
            await until(partial(is_told, tills, "somebody has replaced the log of till"))

    asyncio.run(scenario())


def test_a_source_that_goes_on_from_a_backup_is_not_taken_for_repeating_itself(tmp_path: Path) -> None:
    """Its positions are used again, by other events: whoever has heard what was there says so, and leaves out nothing."""

    async def scenario() -> None:
        disk, kept, backup = BrokerDisk(), ("till.db", "till-views.db"), tmp_path / "backup"
        backup.mkdir()
        async with buying.run(settings_of(tmp_path, "buying"), transport=transport_of(disk)) as buyers:
            await sold(tmp_path, disk, 1)
            for each in kept:
                shutil.copy(tmp_path / each, backup)
            last = await sold(tmp_path, disk, 2)
            await until(partial(has_reached, buyers, inbox_name("till"), last.position))
            for each in kept:
                shutil.copy(backup / each, tmp_path)
            await sold(tmp_path, disk, 4)
            await until(partial(is_told, buyers, "somebody has replaced the log of till"))

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
