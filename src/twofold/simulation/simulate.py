"""Running services in simulated worlds, one for each seed, until one of them breaks a promise."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from twofold.messages import Command
from twofold.service import Service, System
from twofold.simulation.faults import Faults
from twofold.simulation.holding import ViewWatch, state_violations
from twofold.simulation.invariants import Invariant, check_invariants
from twofold.simulation.loop import Standstill
from twofold.simulation.oracles import violations
from twofold.simulation.plan import Plan, drawn_plan, with_room
from twofold.simulation.releases import releases_of
from twofold.simulation.report import Report, described
from twofold.simulation.scenarios import Scenario
from twofold.simulation.shrinking import shrunk
from twofold.simulation.stand_ins import StandIn, check_stand_ins
from twofold.simulation.starting import Start, checked_start
from twofold.simulation.violations import Violation
from twofold.simulation.workload import Usage, check_usage
from twofold.simulation.world import World

COMMANDS = 100


def simulate(
    simulated: Service | System,
    *,
    runs: int = 200,
    seed: int = 0,
    commands: int = COMMANDS,
    faults: Faults | None = None,
    invariants: Sequence[Invariant] = (),
    weights: Mapping[type[Command] | Scenario, float] = {},
    scenarios: Sequence[Scenario] = (),
    start: Start = (),
    before: Service | System | None = None,
    stand_ins: Sequence[StandIn] = (),
) -> int:
    """Run a service or a system in so many worlds, the first from this seed, and return how many commands were sent.

    Args:
        simulated: the service or system.
        runs: in how many worlds.
        seed: that of the first one.
        commands: how many are sent in each, or scenarios run.
        faults: what goes wrong; without, each world draws its own.
        invariants: rules of your own.
        weights: how often a command is sent, or a scenario run, in relation to others: 0 for never. A seed draws a weight
            below 1 for each that is not named.
        scenarios: what people do with it, among the commands that are made up.
        start: the events of a recorded log with which each world begins; of a system, by the names of its services.
        before: the code of before. Each world begins with it, and what is simulated is deployed while it runs.
        stand_ins: what event handlers are given in the place of their resources.

    Raises:
        AssertionError: a rule was broken; the text says which, what was expected and found, and shows the shortest history.
        DeclarationError: it cannot be simulated, or has not what an invariant, a weight, a scenario or the start is about; or
            a resource of a handler has no stand-in.
    """
    simulation = Simulation(simulated, invariants, weights, scenarios, start, before, stand_ins)
    sent = 0
    for each in range(seed, seed + runs):
        report = simulation.run(each, simulation.plan(each, commands, faults))
        sent += report.commands
        if report.violations:
            smallest = simulation.smallest(report)
            raise AssertionError(described(smallest, each, smallest.python))
    return sent


def simulate_once(
    simulated: Service | System,
    seed: int,
    *,
    commands: int = COMMANDS,
    faults: Faults | None = None,
    plan: Plan | None = None,
    invariants: Sequence[Invariant] = (),
    weights: Mapping[type[Command] | Scenario, float] = {},
    scenarios: Sequence[Scenario] = (),
    start: Start = (),
    before: Service | System | None = None,
    stand_ins: Sequence[StandIn] = (),
) -> Report:
    """Run a service or a system in the world of one seed, and judge it.

    The seed draws how many processes and clients there are and the like, if no ``plan`` says that. All else is as in
    `simulate`; what was given there has to be given here for the same to happen.

    Raises:
        DeclarationError: it cannot be simulated, or has not what an invariant, a weight, a scenario or the start is about; or
            a resource of a handler has no stand-in.
    """
    simulation = Simulation(simulated, invariants, weights, scenarios, start, before, stand_ins)
    return simulation.run(seed, plan or simulation.plan(seed, commands, faults))


class Simulation:
    """What is simulated, in the place of what was there before perhaps; its own rules; and how it is used."""

    def __init__(
        self,
        simulated: Service | System,
        invariants: Sequence[Invariant] = (),
        weights: Mapping[type[Command] | Scenario, float] = {},
        scenarios: Sequence[Scenario] = (),
        start: Start = (),
        before: Service | System | None = None,
        stand_ins: Sequence[StandIn] = (),
    ) -> None:
        self._releases = releases_of(simulated, before)
        self._services = [*self._releases[-1].services.values()]
        self._invariants = invariants
        check_invariants(invariants, self._services)
        self._usage = Usage(weights, scenarios, checked_start(start, self._services))
        check_usage(self._usage, self._services)
        self._stand_ins = stand_ins
        check_stand_ins(stand_ins, [each for release in self._releases for each in release.services.values()])

    def plan(self, seed: int, commands: int = COMMANDS, faults: Faults | None = None) -> Plan:
        """Draw the plan of a world."""
        plan = drawn_plan(seed, commands, faults, deploys=len(self._releases) > 1)
        return with_room(plan, sum(map(len, self._usage.start.values())))

    def run(self, seed: int, plan: Plan | None = None) -> Report:
        """Run the world of a seed, by the plan that it draws if none is given, and judge it."""
        plan = plan or self.plan(seed)
        deployed = [service for release in self._releases for service in release.services.values()]
        with _undisturbed(), _snapshots(deployed, plan.snapshot_every):
            return self._lived_through(seed, plan)

    def _lived_through(self, seed: int, plan: Plan) -> Report:
        world = World(self._releases, seed, plan, self._usage, self._stand_ins)
        try:
            found = self._judged(world)
        finally:
            world.close()
        counts = dict(sorted(world.mishaps.counts.items()))
        commands, visits, turns = len(world.history.sent), len(world.history.visited), world.loop.turns
        return Report(seed, plan, commands, visits, world.trace.seconds, turns, counts, found, world.trace)

    def smallest(self, report: Report, tell: Callable[[int, int], None] = lambda done, end: None) -> Report:
        """Return the report of the smallest run that is found in which the same rule is broken.

        ``tell`` is called with how far that is, and with its end.
        """
        return shrunk(report, self.run, tell)

    def _judged(self, world: World) -> list[Violation]:
        watch = ViewWatch(self._services, world.views, self._invariants)
        for disk in world.views.values():
            disk.committed = watch.look
        try:
            world.run()
        except Standstill as error:
            return [
                Violation(
                    "Something goes on.", "the world", "that clients are answered, or run out of patience", str(error)
                )
            ]
        return [*violations(world), *self._broken_by_logs(world), *watch.found]

    def _broken_by_logs(self, world: World) -> Iterator[Violation]:
        for service in self._services:
            yield from state_violations(service, world.logs[service.name].events(), self._invariants)


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
