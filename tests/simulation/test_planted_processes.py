"""Processes, event handlers, timers and schedules in simulated worlds: they keep what is promised, and faults are found."""

import pytest

from tests.simulation.parcels import both, faulty_bell
from tests.simulation.planted_processes import PLANTED, Plant
from twofold.simulation import simulate, simulate_once

WITHIN_RUNS = 100


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_fault_in_what_sees_things_through_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the stated number of runs."""
    plant(monkeypatch)
    assert any(simulate_once(both, seed, stand_ins=[faulty_bell]).violations for seed in range(WITHIN_RUNS))


def test_nothing_is_found_where_things_are_seen_through() -> None:
    """Each step is taken once, each timer comes due once, and each event is handled in its order, whatever goes wrong."""
    assert simulate(both, runs=8, seed=1000, stand_ins=[faulty_bell]) >= 8 * 100
