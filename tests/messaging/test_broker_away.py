"""A broker that is away: services say so for as long as it is, and no longer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.messaging.service_pair import DemandFor, Sell, buying, till
from tests.support.waiting import until
from twofold.clock import SystemClock
from twofold.errors import BrokerUnavailable
from twofold.messaging import BrokerTransport, Message
from twofold.service import Running
from twofold.simulation.chance import Chance
from twofold.simulation.disks import BrokerDisk
from twofold.simulation.faults import Faults, Mishaps
from twofold.simulation.transport import SimulatedBroker, SimulatedIncoming
from twofold.simulation.wire import Wire
from twofold.testing import running


class Switched:
    """A broker that can be away: then each attempt hangs for longer than claims hold before it fails, as connecting does."""

    def __init__(self) -> None:
        self.is_away = False
        self.attempts = 0
        self._broker = SimulatedBroker(BrokerDisk(), Wire(Mishaps(Chance(1, "wire"), Faults())))

    async def _try(self) -> None:
        self.attempts += 1
        if self.is_away:
            await asyncio.sleep(1.2)
            raise BrokerUnavailable("The broker is away.")

    async def publish(self, source: str, messages: Sequence[Message]) -> None:
        await self._try()
        await self._broker.publish(source, messages)

    @asynccontextmanager
    async def incoming(self, group: str, source: str) -> AsyncIterator[SimulatedIncoming]:
        await self._try()
        async with self._broker.incoming(group, source) as incoming:
            yield incoming

    async def close(self) -> None:
        await self._broker.close()


def test_what_cannot_reach_it_is_failing_until_it_is_back(monkeypatch: Any) -> None:
    """Also while an attempt is under way, of which nobody knows yet what comes of it."""
    monkeypatch.setenv("TWOFOLD_FOLLOWERS_LEASE_SECONDS", "0.5")

    async def scenario() -> None:
        broker = Switched()
        broker.is_away = True
        transport: BrokerTransport[Any] = BrokerTransport(broker, SystemClock())
        async with running(till, transport=transport) as tills, running(buying, transport=transport) as buyers:
            receipt = await tills.send(Sell(item="tea"))
            await until(lambda: are_failing(tills, buyers))
            attempts = broker.attempts
            while broker.attempts < attempts + 4:
                assert await are_failing(tills, buyers)
                await asyncio.sleep(0.01)
            broker.is_away = False
            demand = await buyers.ask(DemandFor(item="tea"), after=receipt, timeout_seconds=30)
            assert demand is not None
            await until(lambda: are_well(tills, buyers))

    asyncio.run(scenario())


async def are_failing(tills: Running, buyers: Running) -> bool:
    return "relay" in tills.coordinator.failing() and "inbox:till" in buyers.coordinator.failing()


async def are_well(tills: Running, buyers: Running) -> bool:
    return not {**tills.coordinator.failing(), **buyers.coordinator.failing()}
