"""The stores of a simulation, certified by the suites that are shipped: without faults they are stores like any other."""

from collections.abc import Callable

import pytest

from twofold.clock import SystemClock
from twofold.log import LogStore
from twofold.simulation.chance import Chance
from twofold.simulation.faults import Faults, Mishaps
from twofold.simulation.log_store import LogDisk, SimulatedLogStore
from twofold.simulation.view_store import SimulatedViewStore, ViewDisk
from twofold.simulation.wire import Wire
from twofold.testing import LogConformance, ViewConformance
from twofold.views import ViewStore


class TestSimulatedLogStore(LogConformance):
    @pytest.fixture
    def stores(self) -> Callable[[], LogStore]:
        disk, mishaps = LogDisk(), Mishaps(Chance(1, "stores"), Faults())
        return lambda: SimulatedLogStore(disk, Wire(mishaps), mishaps)


class TestSimulatedViewStore(ViewConformance):
    @pytest.fixture
    def stores(self) -> Callable[[], ViewStore]:
        disk, mishaps = ViewDisk(), Mishaps(Chance(1, "stores"), Faults())
        return lambda: SimulatedViewStore(disk, SystemClock(), Wire(mishaps))
