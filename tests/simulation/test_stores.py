"""The stores of a simulation, certified by the suites that are shipped: without faults they are stores like any other."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from twofold.clock import SystemClock
from twofold.log import LogStore
from twofold.simulation.chance import Chance
from twofold.simulation.disks import BrokerDisk, LogDisk, ViewDisk
from twofold.simulation.faults import Faults, Mishaps
from twofold.simulation.log_store import SimulatedLogStore
from twofold.simulation.transport import simulated_transport
from twofold.simulation.view_store import SimulatedViewStore
from twofold.simulation.wire import Wire
from twofold.testing import LogConformance, TransportConformance, ViewConformance
from twofold.testing.transport_conformance import Exchange, Exchanges
from twofold.views import ViewStore


class TestSimulatedLogStore(LogConformance):
    @pytest.fixture
    def stores(self) -> Callable[[], LogStore]:
        disk, mishaps = LogDisk(), Mishaps(Chance(1, "stores"), Faults())
        return lambda: SimulatedLogStore(disk, Wire(mishaps))


class TestSimulatedViewStore(ViewConformance):
    @pytest.fixture
    def stores(self) -> Callable[[], ViewStore]:
        disk, mishaps = ViewDisk(SystemClock()), Mishaps(Chance(1, "stores"), Faults())
        return lambda: SimulatedViewStore(disk, Wire(mishaps))


class TestSimulatedTransport(TransportConformance):
    @pytest.fixture
    def exchanges(self) -> Exchanges:
        @asynccontextmanager
        async def exchange() -> AsyncIterator[Exchange]:
            mishaps = Mishaps(Chance(1, "transport"), Faults())
            yield simulated_transport(BrokerDisk(), Wire(mishaps), SystemClock())

        return exchange
