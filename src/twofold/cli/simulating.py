"""Simulated worlds, spread over several processes: each is asked for one seed after the other, and tells what came of it."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING

import msgspec

from twofold.cli.streams import guard
from twofold.cli.target import Complaint, load, services
from twofold.clock import SystemClock
from twofold.service import Service

if TYPE_CHECKING:
    from twofold.log import RecordedEvent
    from twofold.simulation.simulate import Simulation

_LEEWAY_SECONDS = 20.0
"""How much longer than all of them were to take a single run may go on: then something in it does not end."""

# Started anew and not forked: whatever importing a target has opened or begun is the process's own.
_processes = multiprocessing.get_context("spawn")


class Subject(msgspec.Struct, frozen=True):
    """What is simulated: a target, what was there ``before`` it if anything was, and the events with which its logs begin."""

    target: str
    before: str
    start: Mapping[str, Sequence[RecordedEvent]]


class Bounds(msgspec.Struct, frozen=True):
    """Which worlds are looked at: so many from a seed on, or as many as can be begun in some seconds."""

    seed: int
    runs: int
    seconds: float | None


class Run(msgspec.Struct, frozen=True):
    """What a process tells of a world; ``violation`` is the first rule that is broken in it, or ''."""

    commands: int
    virtual_seconds: float
    faults: Mapping[str, int]
    violation: str


class Sum(msgspec.Struct):
    """What came of all worlds together. ``broken`` is the first seed whose world breaks a promise."""

    runs: int = 0
    commands: int = 0
    virtual_seconds: float = 0.0
    seconds: float = 0.0
    faults: Counter[str] = msgspec.field(default_factory=Counter)
    broken: int | None = None
    violation: str = ""

    def add(self, run: Run) -> None:
        """Count a world in which nothing is broken, or which is the first in which something is."""
        self.runs += 1
        self.commands += run.commands
        self.virtual_seconds += run.virtual_seconds
        self.faults.update(run.faults)


def in_worlds(subject: Subject, bounds: Bounds, jobs: int) -> Sum:
    """Look at worlds until something is broken, or the bounds are reached. Which seed is found first depends on no process.

    Raises:
        Complaint: the target cannot be simulated, or a process is gone, or does not come to an end.
    """
    from twofold.cli.output import progress_bar

    clock, summed = SystemClock(), Sum()
    begun = clock.monotonic()
    with progress_bar() as report, _workers(subject, min(jobs, bounds.runs)) as workers:
        pool = _Pool(workers, bounds)
        while pool.goes_on:
            left = None if bounds.seconds is None else begun + bounds.seconds - clock.monotonic()
            for run in pool.next(left):
                summed.add(run)
                report("worlds", summed.runs, bounds.runs)
    summed.seconds = clock.monotonic() - begun
    summed.broken, summed.violation = pool.broken, pool.violation
    return summed


class _Pool:
    """Who looks at which seed, and which is to be looked at next."""

    def __init__(self, workers: dict[Connection, SpawnProcess], bounds: Bounds) -> None:
        self._workers = workers
        self._seeds = iter(range(bounds.seed, bounds.seed + bounds.runs))
        self._looks_at: dict[Connection, int] = {}
        self.broken: int | None = None
        self.violation = ""
        for each in workers:
            self._give(each)

    @property
    def goes_on(self) -> bool:
        """Whether something is under way that matters: a seed after the first that is broken does not."""
        return any(self.broken is None or seed < self.broken for seed in self._looks_at.values())

    def next(self, left_seconds: float | None) -> Iterator[Run]:
        """Wait for the next worlds that have ended. No other is begun when no seconds are left."""
        patience = None if left_seconds is None else max(0.0, left_seconds) + _LEEWAY_SECONDS
        ready = wait([*self._looks_at], patience)
        if not ready:
            seeds = ", ".join(map(str, self._looks_at.values()))
            raise Complaint(
                f"The world of seed {seeds} does not come to an end: does a decision, an answer or a process loop?"
            )
        for told in ready:
            if isinstance(told, Connection):
                run = self._told(told)
                seed = self._looks_at.pop(told)
                if run.violation and (self.broken is None or seed < self.broken):
                    self.broken, self.violation = seed, run.violation
                yield run
                if self.broken is None and (left_seconds is None or left_seconds > 0):
                    self._give(told)

    def _give(self, worker: Connection) -> None:
        seed = next(self._seeds, None)
        if seed is not None:
            self._looks_at[worker] = seed
            worker.send(seed)

    def _told(self, worker: Connection) -> Run:
        try:
            told = worker.recv()
        except (EOFError, ConnectionResetError):
            process = self._workers[worker]
            process.join()
            raise Complaint(
                f"The process that looked at seed {self._looks_at[worker]} ended with {process.exitcode}. Look at that seed "
                "alone: --jobs 1 --runs 1 --seed …"
            ) from None
        if isinstance(told, str):
            raise Complaint(told)
        run: Run = told
        return run


@contextmanager
def _workers(subject: Subject, count: int) -> Iterator[dict[Connection, SpawnProcess]]:
    """Start processes for a block; they are gone when it ends, whatever they do."""
    workers: dict[Connection, SpawnProcess] = {}
    try:
        for _ in range(count):
            mine, its = _processes.Pipe()
            process = _processes.Process(target=_work, args=(subject, its))
            process.start()
            its.close()
            workers[mine] = process
        yield workers
    finally:
        for connection, process in workers.items():
            process.kill()
            process.join()
            connection.close()


# What a process does.


def _work(subject: Subject, asked: Connection) -> None:
    # Ctrl-C in a terminal is for the parent, which ends all at once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    guard()
    simulation = simulation_of(subject)
    while True:
        try:
            seed = asked.recv()
        except EOFError:
            return
        asked.send(_run(simulation, seed))


def simulation_of(subject: Subject) -> Simulation:
    """Import a target, and what its module has of invariants, scenarios and stand-ins that are about it.

    Raises:
        Complaint: there is no such target, or it cannot be simulated.
    """
    from twofold.simulation.invariants import Invariant, is_about
    from twofold.simulation.scenarios import Scenario
    from twofold.simulation.simulate import Simulation
    from twofold.simulation.stand_ins import StandIn, is_taken

    found = load(subject.target)
    listed = [found] if isinstance(found, Service) else [*found.services.values()]
    declared = vars(sys.modules[subject.target.partition(":")[0]]).values()
    invariants = [each for each in declared if isinstance(each, Invariant) and is_about(each, listed)]
    scenarios = [each for each in declared if isinstance(each, Scenario) and each.is_about(listed)]
    stand_ins = [each for each in declared if isinstance(each, StandIn) and is_taken(each, listed)]
    before = load(subject.before) if subject.before else None
    return Simulation(found, invariants, scenarios=scenarios, start=subject.start, before=before, stand_ins=stand_ins)


def subject_of(target: str, before: str, places: Sequence[str]) -> Subject:
    """Return a target, and what was there before it, with the logs at some places.

    Of a system, each log is named as in ``shop=shop.jsonl``.

    Raises:
        Complaint: there is no such target, or it is not said whose log is where.
    """
    from twofold.simulation.starting import recorded_events

    names, start = [each.name for each in services(target)], {}
    for place in places:
        name, sign, rest = place.partition("=")
        if sign and name in names:
            start[name] = recorded_events(rest)
        elif len(names) == 1:
            start[names[0]] = recorded_events(place)
        else:
            raise Complaint(f"{target} is a system. Say of which service a log is: --start {names[0]}=…")
    return Subject(target, before, start)


def _run(simulation: Simulation, seed: int) -> Run | str:
    try:
        report = simulation.run(seed)
    except Exception as error:
        return f"The world of seed {seed} cannot be simulated: {type(error).__name__}: {error}"
    violation = str(report.violations[0]) if report.violations else ""
    return Run(report.commands, report.seconds, report.faults, violation)
