"""A whole system in one process, from a seed: its processes, its databases, what goes wrong, and who finds out."""

from twofold.simulation.faults import Faults
from twofold.simulation.plan import Plan
from twofold.simulation.simulate import Report, simulate, simulate_once
from twofold.simulation.trace import Happening, Trace
from twofold.simulation.violations import Violation

__all__ = ["Faults", "Happening", "Plan", "Report", "Trace", "Violation", "simulate", "simulate_once"]
