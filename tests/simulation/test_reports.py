"""What users see of a failure: the rule in words, the shortest history, and how to see it again; and rules of their own."""

import ast
from pathlib import Path
from typing import Any, Self

import pytest
from msgspec.structs import replace

from examples.bank import Account, AccountId, Balance, Deposited, bank
from examples.shop import shop
from examples.simulated import clock, closing, counter, on_call
from twofold import Aggregate, Service, Views, evolve
from twofold.errors import DeclarationError
from twofold.simulation import Plan, invariant, read_plan, simulate, simulate_once
from twofold.simulation.plan import drawn_plan, plan_text
from twofold.simulation.report import described
from twofold.simulation.rules import explained
from twofold.simulation.shrinking import shrunk
from twofold.simulation.simulate import Simulation

SIMULATION = Path(__file__).parents[2] / "src/twofold/simulation"


def smallest(simulated: Any, *invariants: Any) -> Any:
    simulation = Simulation(simulated, invariants)
    reports = (simulation.run(seed) for seed in range(50))
    return simulation.smallest(next(each for each in reports if each.violations))


def test_an_assertion_says_all_that_there_is_to_know() -> None:
    """The rule, where, what was expected and found, what it means, the history with its lanes, and how it is repeated."""
    with pytest.raises(AssertionError) as told:
        simulate(closing.bank, invariants=[closing.what_is_closed_is_empty])
    text = str(told.value)
    assert text.startswith("Seed 0 breaks a rule: The invariant what_is_closed_is_empty holds.")
    assert "    expected  An account that is closed has nothing.\n" in text
    assert "is_closed=True" in text
    assert "●  world " in text
    assert "simulate_once(bank, 0, plan=read_plan(" in text
    assert len(text.splitlines()) < 60


@pytest.mark.parametrize(
    ("simulated", "invariants", "commands"),
    [(clock.tickets, (), 1), (counter.race, (), 1), (closing.bank, (closing.what_is_closed_is_empty,), 4),
     (on_call.hospital, (on_call.somebody_is_on_call,), 4)],
    ids=["clock", "counter", "closing", "on_call"],
)  # fmt: skip
def test_a_failure_shrinks_to_what_it_needs(simulated: Any, invariants: Any, commands: int) -> None:
    """One process, nothing that goes wrong, and no command that could be left out; and it repeats."""
    report = smallest(simulated, *invariants)
    assert report.commands <= commands
    assert (len(report.plan.processes), report.faults) == (1, {})
    again = simulate_once(simulated, report.seed, plan=read_plan(plan_text(report.plan)), invariants=invariants)
    assert again.violations[0].rule == report.violations[0].rule
    assert [each.what for each in again.trace.happenings][:2] == [each.what for each in report.trace.happenings][:2]


def test_a_failure_always_shrinks_to_the_same() -> None:
    """What is tried is bounded by what happens, and not by time."""
    first, second = (smallest(closing.bank, closing.what_is_closed_is_empty) for _ in range(2))
    assert (first.seed, first.plan, str(first.trace)) == (second.seed, second.plan, str(second.trace))


def test_a_failure_that_something_outside_hides_is_told() -> None:
    """Such as a global that outlives a world: then nothing smaller is found, and the reader is told why."""
    report = simulate_once(clock.tickets, 0)
    hidden = shrunk(report, lambda seed, plan: replace(report, violations=[]))
    assert (hidden.repeats, hidden.plan) == (False, report.plan)
    assert "look for a global first" in " ".join(described(hidden, 0, "again").split())


def test_a_plan_is_read_back() -> None:
    """Whatever a seed draws; and what is not said is as simple as can be."""
    assert all(read_plan(plan_text(plan)) == plan for plan in [drawn_plan(seed, 100) for seed in range(50)])
    assert plan_text(Plan()) == "{}"


def test_every_rule_is_explained() -> None:
    """Whoever has never read the code of an oracle is told what it means, and where to look."""
    rules = {
        call.args[0].value
        for path in SIMULATION.glob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in ("Violation", "differences")
        and isinstance(call.args[0], ast.Constant)
    }
    assert rules == {*explained()}


# Rules of the user's own.


@invariant
def nobody_is_overdrawn(account: Account) -> bool:
    """A balance is never below zero."""
    return account.balance >= 0


@invariant
def few_are_rich(accounts: list[Account]) -> None:
    """At most one account has something."""
    rich = [each.key for each in accounts if each.balance]
    assert len(rich) <= 1, rich


@invariant
async def rows_are_few(views: Views) -> bool:
    """No account has something."""
    return not (await views.find(Balance, Balance.c.amount > 0)).rows


def test_what_holds_is_not_reported() -> None:
    """Nor is anything of an invariant that returns nothing and raises nothing."""
    assert simulate(bank, runs=5, invariants=[nobody_is_overdrawn]) >= 500


def test_an_invariant_over_all_states_names_the_event_that_broke_it() -> None:
    """And what it said."""
    violation = smallest(bank, few_are_rich).violations[0]
    assert violation.rule == "The invariant few_are_rich holds."
    assert "position 2, after Deposited" in violation.where
    assert "AssertionError: ['account-" in violation.found


class Purse(Aggregate, key=AccountId):
    gifts: int = 0

    @evolve
    def deposited(self, event: Deposited) -> Self:
        return type(self)(key=self.key, gifts=self.gifts + 1)


@invariant
def a_purse_takes_one_gift(purse: Purse) -> bool:
    """Nothing comes twice."""
    return purse.gifts <= 1


def test_an_invariant_is_checked_over_a_state_on_which_nothing_is_decided() -> None:
    """As that it is not may be the very mistake."""
    purses = Service("purses", aggregates=[Account, Purse])
    assert smallest(purses, a_purse_takes_one_gift).violations[0].rule == "The invariant a_purse_takes_one_gift holds."


def test_an_invariant_over_views_is_checked_while_all_runs() -> None:
    """Whenever the views have all seen the same part of the log."""
    violation = smallest(bank, rows_are_few).violations[0]
    assert (violation.where, violation.expected) == ("the views of bank at position 1", "No account has something.")


def test_what_an_invariant_is_about_has_to_be_there() -> None:
    """Else it would hold for no good reason."""
    with pytest.raises(DeclarationError, match="has not all that the invariant is about"):
        simulate(shop, invariants=[nobody_is_overdrawn])
    with pytest.raises(DeclarationError, match="not decorated with @invariant"):
        simulate(bank, invariants=[nobody_is_overdrawn.function])  # type: ignore[list-item]
    with pytest.raises(DeclarationError, match="do not say what it is about"):
        invariant(lambda account: True)
