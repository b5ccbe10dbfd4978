"""What simulations are worth: faults that are planted are found, and soon; and nothing is found where nothing is wrong."""

import pytest

from examples.bank import bank
from examples.shop import payment_provider, shop
from tests.simulation.planted import BETWEEN_SERVICES, OF_ONE_SERVICE, Plant
from tests.simulation.warehouse import system as warehouse
from twofold.simulation import simulate, simulate_once

WITHIN_RUNS = 100


@pytest.mark.parametrize("plant", OF_ONE_SERVICE, ids=lambda plant: plant.__name__)
def test_a_fault_in_one_service_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the stated number of runs."""
    plant(monkeypatch)
    assert any(simulate_once(bank, seed).violations for seed in range(WITHIN_RUNS))


@pytest.mark.parametrize("plant", BETWEEN_SERVICES, ids=lambda plant: plant.__name__)
def test_a_fault_between_services_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """In what one hears of the other: lost, out of order, or not at all."""
    plant(monkeypatch)
    assert any(simulate_once(warehouse, seed).violations for seed in range(WITHIN_RUNS))


def test_nothing_is_found_in_a_service_that_keeps_its_promises() -> None:
    """Whatever goes wrong around it."""
    assert simulate(bank, runs=8, seed=1000) >= 8 * 100


def test_nothing_is_found_in_a_system_that_keeps_its_promises() -> None:
    """Six services, which hear of each other."""
    assert simulate(shop, runs=3, seed=1000, stand_ins=[payment_provider]) >= 3 * 100


def test_nothing_is_found_in_services_whose_keys_are_hot() -> None:
    """Many events of few keys go from one to the other, through a broker or from log to log."""
    assert simulate(warehouse, runs=6, seed=1000) >= 6 * 100
