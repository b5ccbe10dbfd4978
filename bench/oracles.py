"""What each oracle of simulations costs: the same worlds with all of them, and with each one left out.

``python -m bench.oracles`` prints the time of the processor for each command, so that others on the machine count for little.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from unittest.mock import patch

from examples.bank import bank
from examples.shop import payment_provider, shop
from twofold.service import Service, System
from twofold.simulation import oracles, simulate
from twofold.simulation.deciding import DecisionOracle
from twofold.simulation.stand_ins import StandIn
from twofold.simulation.view_store import SimulatedViewStore
from twofold.simulation.world import World

_ROUNDS = 5
_RUNS = 5

_ORACLES: dict[str, tuple[Any, str]] = {
    "decisions, made again": (DecisionOracle, "violations"),
    "views, folded again": (World, "view_violations"),
    "projections, filled again": (oracles, "projection_violations"),
    "what services hear": (oracles, "hearing_violations"),
    "what follows from events": (oracles, "_of_what_follows"),
    "what queries read": (SimulatedViewStore, "_note"),
}


def main() -> None:
    """Measure the bank and the shop."""
    _show("bank", bank)
    _show("shop", shop, payment_provider)


def _show(name: str, simulated: Service | System, *stand_ins: StandIn) -> None:
    _milliseconds(simulated, stand_ins, "")
    rounds = [{each: _milliseconds(simulated, stand_ins, each) for each in ("", *_ORACLES)} for _ in range(_ROUNDS)]
    whole = statistics.median([each[""] for each in rounds])
    print(f"{name}: {whole:.2f} ms a command with all oracles, {1000 / whole:,.0f} commands a second and core")
    for oracle in _ORACLES:
        # Each round says it for itself: what slows the machine slows all of a round.
        share = statistics.median([1 - each[oracle] / each[""] for each in rounds])
        print(f"    {oracle:<28}{share * whole:6.2f} ms {share:6.1%}")


def _milliseconds(simulated: Service | System, stand_ins: Sequence[StandIn], oracle: str) -> float:
    """Return what a command takes of the processor, with one oracle left out or, for '', none."""
    with _without(oracle):
        begun = time.process_time()
        commands = simulate(simulated, runs=_RUNS, stand_ins=stand_ins)
        return (time.process_time() - begun) * 1000 / commands


def _without(oracle: str) -> AbstractContextManager[Any]:
    if not oracle:
        return nullcontext()
    owner, name = _ORACLES[oracle]
    return patch.object(owner, name, lambda *_, **__: [])


if __name__ == "__main__":
    main()
