"""How often something is done is what was said, and by chance where nothing was."""

import math
from typing import Any

import pytest

from tests.simulation.garage import Leave, Park, Wash, garage
from tests.simulation.test_scenarios import only_parks
from tests.simulation.warehouse import Stock
from twofold.errors import DeclarationError
from twofold.simulation import Report, simulate, simulate_once


def times(report: Report, word: str) -> int:
    return sum(each.what.startswith(word) for each in report.trace.happenings)


def test_what_has_no_weight_is_never_done() -> None:
    """In no world: 0 is never."""
    for seed in range(10):
        report = simulate_once(garage, seed, weights={Leave: 0})
        assert times(report, "sends Leave") == 0
        assert times(report, "sends ") >= 100


def test_weights_are_kept_in_relation_to_each_other() -> None:
    """Within what chance allows in many worlds."""
    reports = [simulate_once(garage, seed, weights={Park: 6, Leave: 3, Wash: 1}) for seed in range(10)]
    parks, leaves, washes = (
        sum(times(each, f"sends {word}") for each in reports) for word in ("Park", "Leave", "Wash")
    )
    assert 1.5 < parks / leaves < 2.7
    assert 2 < leaves / washes < 4.5


def test_a_scenario_has_a_weight_as_a_command_has() -> None:
    """Alone, or not at all."""
    report = simulate_once(garage, 1, commands=30, weights={Park: 0, Leave: 0, Wash: 0}, scenarios=[only_parks])
    assert report.scenarios == 30
    assert simulate_once(garage, 1, weights={only_parks: 0}, scenarios=[only_parks]).scenarios == 0


def test_what_is_not_named_is_drawn_as_ever() -> None:
    """Weights of some change nothing of the others'."""
    plain, weighted = simulate_once(garage, 5), simulate_once(garage, 5, weights={})
    assert str(plain.trace) == str(weighted.trace)


@pytest.mark.parametrize(
    ("weights", "complaint"),
    [
        ({Stock: 1}, r"has Stock, which is no command of garage\."),
        ({only_parks: 1}, r"has only_parks, which is not among the scenarios that are given"),
        ({Park: -1}, r"has -1 for Park\. A weight is a number"),
        ({Park: math.nan}, r"has nan for Park"),
        ({Park: 0, Leave: 0, Wash: 0}, r"leaves nothing that is ever sent"),
    ],
)
def test_a_weight_of_something_else_is_told(weights: dict[Any, float], complaint: str) -> None:
    """By its name: most often it is a command of another service, or a slip."""
    with pytest.raises(DeclarationError, match=complaint):
        simulate(garage, weights=weights)
