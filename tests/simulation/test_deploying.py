"""Deploying in simulated worlds: what is deployed as it should be shows nothing, and mistakes show that appear only then."""

import pytest

from examples.bank import bank
from examples.shop import payment_provider, shop
from examples.simulated import before_freezing, freezing
from tests.simulation.deployed import after, before, mistakes
from twofold.errors import DeclarationError
from twofold.simulation import Plan, simulate, simulate_once
from twofold.simulation.simulate import Simulation

WITHIN_RUNS = 20


def first_broken(simulation: Simulation) -> str:
    """Return the first rule that is broken within the stated number of runs."""
    reports = (simulation.run(seed) for seed in range(WITHIN_RUNS))
    return next(each for each in reports if each.violations).violations[0].rule


def test_nothing_is_found_in_what_is_deployed_as_it_should_be() -> None:
    """New fields with defaults, an upcast, new versions of views, a view less and another one more, a changed state."""
    assert simulate(after.bank, runs=6, before=before.bank) > 6 * 80


def test_nothing_is_found_in_a_system_that_is_deployed_as_it_is() -> None:
    """Six services that hear of each other, of which each process is replaced once."""
    assert simulate(shop, runs=2, seed=1000, before=shop, stand_ins=[payment_provider]) >= 2 * 100


def test_processes_are_replaced_one_by_one_while_commands_are_sent() -> None:
    """A new one is ready before an old one in its place is asked to end, and in the end all are new."""
    plan = Plan(processes=(("commands", "queries", "followers", "relay"),) * 2, clients=2, pace_seconds=0.1)
    report = simulate_once(bank, 1, before=bank, plan=plan)
    told = [each for each in report.trace.happenings if "code, for" in each.what or each.what.startswith("sends")]
    starts = [number for number, each in enumerate(told) if "starts" in each.what]
    assert [told[each].what.split(",")[0] for each in starts] == 2 * ["starts with the old code"] + 2 * [
        "starts with the new code"
    ]
    assert starts[2] > 2
    assert starts[3] < len(told) - 1
    assert report.violations == []


def test_what_is_deployed_may_be_taken_back_once() -> None:
    """Then the old code goes on with what the new one has left, before that is deployed again."""
    report = simulate_once(after.bank, 3, before=before.bank, plan=Plan(rolls_back=True, clients=2, pace_seconds=0.1))
    deployed = [each.what for each in report.trace.happenings if each.process == "operator"]
    assert deployed == ["deploys the new code", "deploys the old code again", "deploys the new code"]
    assert (report.faults, report.violations) == ({"rollback": 1}, [])


def test_a_new_event_that_is_deployed_in_one_step_is_found() -> None:
    """Old code decides on states from which the event is missing."""
    simulation = Simulation(freezing.bank, before=before_freezing.bank)
    assert first_broken(simulation) == "A decision sees every event of its states."


def test_a_view_that_is_folded_otherwise_in_the_same_table_is_found() -> None:
    """What old code has folded is not what new code would have."""
    simulation = Simulation(mistakes.same_table, before=before.bank)
    assert first_broken(simulation) == "A view is a fold of what it has handled."


def test_a_decision_that_breaks_an_invariant_only_while_old_code_decides_too_is_found() -> None:
    """By itself, the new code keeps what it promises."""
    invariants = [mistakes.nothing_frozen_is_paid]
    assert simulate(mistakes.heeding, runs=3, invariants=invariants) > 0
    simulation = Simulation(mistakes.heeding, invariants, before=mistakes.unheeding)
    assert first_broken(simulation) == "The invariant nothing_frozen_is_paid holds."


def test_what_is_deployed_has_to_have_the_same_services() -> None:
    """Nothing else can take the place of what was there."""
    with pytest.raises(DeclarationError, match="give services of the same names"):
        simulate(bank, before=shop)
