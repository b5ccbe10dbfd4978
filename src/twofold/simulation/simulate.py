"""Running services in simulated worlds, one for each seed, until one of them breaks a promise."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from twofold.service import Service, System
from twofold.simulation.faults import Faults
from twofold.simulation.loop import Standstill
from twofold.simulation.oracles import violations
from twofold.simulation.plan import Plan, drawn_plan
from twofold.simulation.trace import Trace
from twofold.simulation.violations import Violation
from twofold.simulation.world import World

COMMANDS = 100
_MOST_SHOWN = 3
_LAST_SHOWN = 30


class Report(msgspec.Struct, frozen=True):
    """What came of one run."""

    seed: int
    plan: Plan
    commands: int
    violations: list[Violation]
    trace: Trace

    def __str__(self) -> str:
        shown = [f"Seed {self.seed} breaks what is promised, {len(self.violations)} times.", ""]
        shown += map(str, self.violations[:_MOST_SHOWN])
        shown += ["", "What happened last:", *map(str, self.trace.happenings[-_LAST_SHOWN:])]
        return "\n".join(shown)


def simulate(
    simulated: Service | System,
    *,
    runs: int = 200,
    seed: int = 0,
    commands: int = COMMANDS,
    faults: Faults | None = None,
) -> int:
    """Run a service or a system in so many worlds, the first from this seed, and return how many commands were sent.

    ``commands`` are sent in each; without ``faults``, each world draws its own.

    Raises:
        AssertionError: a promise was broken; the text has the seed, which repeats it, what was expected, and what was found.
    """
    sent = 0
    for each in range(seed, seed + runs):
        report = simulate_once(simulated, each, commands=commands, faults=faults)
        sent += report.commands
        if report.violations:
            raise AssertionError(f"{report}")
    return sent


def simulate_once(
    simulated: Service | System, seed: int, *, commands: int = COMMANDS, faults: Faults | None = None
) -> Report:
    """Run a service or a system in the world of one seed, and judge it."""
    services = [simulated] if isinstance(simulated, Service) else [*simulated.services.values()]
    plan = drawn_plan(seed, commands, faults)
    with _undisturbed(), _snapshots(services, plan.snapshot_every):
        world = World(services, seed, plan)
        try:
            found = _judged(world)
        finally:
            world.close()
    return Report(seed, plan, len(world.history.sent), found, world.trace)


def _judged(world: World) -> list[Violation]:
    try:
        world.run()
    except Standstill as error:
        return [
            Violation(
                "Something goes on.", "the world", "that clients are answered, or run out of patience", str(error)
            )
        ]
    return [*violations(world)]


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Free memory only between runs, as what is freed may have a say; and leave it to the trace to tell what happens."""
    logger, enabled = logging.getLogger("twofold"), gc.isenabled()
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    gc.disable()
    # What was there before is not looked through again for each run.
    gc.freeze()
    try:
        yield
    finally:
        logger.setLevel(level)
        gc.collect()
        gc.unfreeze()
        if enabled:
            gc.enable()


@contextmanager
def _snapshots(services: Sequence[Service], every: int) -> Iterator[None]:
    """Let states be kept after a few events, where a simulated life would be too short for one snapshot."""
    folds = [
        boundary.fold for each in services for decider in each.declaration.deciders for boundary in decider.boundaries
    ]
    states = [fold.state for fold in folds if every and fold.state is not None]
    kept = [(state, state.snapshot_every) for state in states]
    try:
        for state in states:
            state.snapshot_every = every
        yield
    finally:
        for state, number in kept[::-1]:
            state.snapshot_every = number
