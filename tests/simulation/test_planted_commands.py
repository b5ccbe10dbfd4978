"""Commands from one service to the next, in simulated worlds: they keep what is promised, and faults are found."""

import pytest

from tests.processes.ordering import both
from tests.simulation.planted_commands import PLANTED, Plant
from twofold.simulation import simulate, simulate_once

WITHIN_RUNS = 100


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_fault_in_carrying_out_commands_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the stated number of runs."""
    plant(monkeypatch)
    assert any(simulate_once(both, seed).violations for seed in range(WITHIN_RUNS))


def test_nothing_is_found_in_services_that_send_commands_to_each_other() -> None:
    """Each is carried out once, on what the log holds, and its outcome comes back."""
    assert simulate(both, runs=8, seed=1000) >= 8 * 100
