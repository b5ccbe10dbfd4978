"""A whole system in one process, from a seed: its processes, its databases, what goes wrong, and who finds out."""

from twofold.simulation.chance import Chance
from twofold.simulation.faults import Faults
from twofold.simulation.invariants import Invariant, invariant
from twofold.simulation.plan import Plan, read_plan
from twofold.simulation.report import Report
from twofold.simulation.scenarios import Client, Scenario, Unanswered, scenario
from twofold.simulation.simulate import simulate, simulate_once
from twofold.simulation.stand_ins import StandIn, stand_in
from twofold.simulation.starting import recorded_events
from twofold.simulation.trace import Happening, Trace
from twofold.simulation.violations import Violation

__all__ = [
    "Chance",
    "Client",
    "Faults",
    "Happening",
    "Invariant",
    "Plan",
    "Report",
    "Scenario",
    "StandIn",
    "Trace",
    "Unanswered",
    "Violation",
    "invariant",
    "read_plan",
    "recorded_events",
    "scenario",
    "simulate",
    "simulate_once",
    "stand_in",
]
