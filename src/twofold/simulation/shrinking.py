"""Making a failure small: the simplest world that is found, and the fewest commands, in which the same rule is broken.

A plan is made simpler step by step, and a step is kept if what was broken still is. What happens depends on luck as well, so
each step is tried with a few seeds. How much is tried is bounded by what happens in all of it and not by time: a failure
shrinks to the same history on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import TypeAlias

from msgspec.structs import fields, replace

from twofold.limits import Limits
from twofold.service import ROLES
from twofold.simulation.faults import Faults
from twofold.simulation.plan import Plan
from twofold.simulation.report import Report

Again: TypeAlias = Callable[[int, Plan], Report]
"""Runs the world of a seed and a plan."""

Move: TypeAlias = Callable[[Plan], Iterator[Plan]]
"""Makes a plan simpler, in one or several ways, the best first."""

_MOST_TURNS = 200_000
_STARTING = 500
"""What beginning and ending a run costs, in turns."""
_MOST_SEEDS = 24
_FEW_SEEDS = 6
_FEW_COMMANDS = (1, 2, 4, 8, 16, 32)
_LATENCY = Faults(latency_seconds=0.004)


def shrunk(report: Report, again: Again, tell: Callable[[int, int], None] = lambda done, end: None) -> Report:
    """Return the report of a smaller run that breaks the same rule, and that first; ``tell`` is told how far this is."""
    search = _Search(report, again, tell)
    for plan in _simple_worlds(report.plan):
        if search.left < _MOST_TURNS // 2 or search.tries(plan, _FEW_SEEDS):
            break
    while search.is_made_smaller_by(_moves()):
        pass
    _leave_out(search)
    if search.best is report and not search.tries(report.plan, seeds=1):
        return replace(report, repeats=False)
    return search.best


class _Search:
    """The smallest failure so far, and how many turns may still be taken to look for a smaller one."""

    def __init__(self, report: Report, again: Again, tell: Callable[[int, int], None]) -> None:
        self.best = report
        self.left = _MOST_TURNS
        self._rule = report.violations[0].rule
        self._again = again
        self._tell = tell

    def tries(self, plan: Plan, seeds: int = _MOST_SEEDS) -> bool:
        """Say whether the rule is broken in a world of this plan, and take note of it as the best so far if it is.

        Some seeds are tried, more of them the less that costs: twice as much as the best one did, at the most.
        """
        first, enough = self.best.seed, self.left - 2 * (self.best.turns + _STARTING)
        for seed in range(first, first + seeds):
            if self._breaks(seed, plan):
                return True
            if self.left < max(enough, 0):
                break
        return False

    def is_made_smaller_by(self, moves: Sequence[Move]) -> bool:
        """Try what each move makes of the best plan, until one of that breaks the rule; say whether any did."""
        before = self.best
        for move in moves:
            plans = [each for each in move(self.best.plan) if each != self.best.plan]
            any(self.left > 0 and self.tries(each) for each in plans)
        return self.best is not before

    def _breaks(self, seed: int, plan: Plan) -> bool:
        report = self._again(seed, plan)
        self.left -= report.turns + _STARTING
        self._tell(min(_MOST_TURNS - self.left, _MOST_TURNS), _MOST_TURNS)
        same = [each for each in report.violations if each.rule == self._rule]
        if same:
            others = [each for each in report.violations if each.rule != self._rule]
            self.best = replace(report, violations=[*same, *others])
        return bool(same)


def _simple_worlds(plan: Plan) -> Iterator[Plan]:
    """Yield worlds from the simplest one on in which nothing goes wrong; many faults of users show in one of them."""
    for (processes, clients), faults, commands in product(
        ((1, 1), (1, 2), (2, 2), (2, 4)), (Faults(), _LATENCY), _FEW_COMMANDS
    ):
        if commands < plan.commands and clients <= commands:
            yield Plan(
                processes=(ROLES,) * processes, clients=clients, commands=commands, identities=2, asks=plan.asks,
                has_broker=plan.has_broker, faults=faults,
            )  # fmt: skip


def _moves() -> Sequence[Move]:
    simplest = Plan()
    kept = ("commands", "clients", "processes", "sends", "identities", "faults", "limits")
    plain = [each.name for each in fields(Plan) if each.name not in kept]
    return [
        _fewer_commands,
        *[partial(_set, name, getattr(simplest, name)) for name in plain],
        *[partial(_without_fault, each.name) for each in fields(Faults)],
        *[partial(_without_limits, each.name) for each in fields(Limits)],
        _fewer_processes,
        partial(_fewer, "clients"),
        partial(_fewer, "identities"),
    ]


def _set(name: str, value: object, plan: Plan) -> Iterator[Plan]:
    yield replace(plan, **{name: value})


def _fewer_commands(plan: Plan) -> Iterator[Plan]:
    for commands in [*_FEW_COMMANDS, plan.commands * 3 // 4, plan.commands - 1]:
        if 0 < commands < plan.commands:
            yield replace(plan, commands=commands)


def _without_fault(name: str, plan: Plan) -> Iterator[Plan]:
    yield replace(plan, faults=replace(plan.faults, **{name: 0.0}))


def _without_limits(name: str, plan: Plan) -> Iterator[Plan]:
    yield replace(plan, limits=replace(plan.limits, **{name: getattr(Limits(), name)}))


def _fewer_processes(plan: Plan) -> Iterator[Plan]:
    for count in range(1, len(plan.processes) + 1):
        yield replace(plan, processes=(ROLES,) * count)
    if len(plan.processes) > 1:
        for place in range(len(plan.processes)):
            yield replace(plan, processes=plan.processes[:place] + plan.processes[place + 1 :])


def _fewer(name: str, plan: Plan) -> Iterator[Plan]:
    for count in range(1, getattr(plan, name)):
        yield replace(plan, **{name: count})


def _leave_out(search: _Search) -> None:
    """Leave out commands, many at a time and then one by one; what is left is sent as before, as it is the same world."""
    size = search.best.plan.commands // 2
    while size:
        kept = search.best.plan.sends or tuple(range(1, search.best.plan.commands + 1))
        parts = [kept[:start] + kept[start + size :] for start in range(0, len(kept), size)]
        if not any(part and search.tries(replace(search.best.plan, sends=part), seeds=1) for part in parts):
            size //= 2
        size = min(size, len(search.best.plan.sends) or size)
