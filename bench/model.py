"""The words of the benchmarks: workloads, contenders, and trials, which are one contender doing one workload once."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec


class Sample(msgspec.Struct, frozen=True):
    """What one trial came to."""

    operations: int
    seconds: float
    note: str = ""

    @property
    def per_second(self) -> float:
        """The rate of the trial."""
        return self.operations / self.seconds


class Turns:
    """How long a trial goes on: until so many operations were begun or so many seconds have passed.

    One is shared by all clients of a trial, which iterate over it: each turn is one operation to do.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self.most = most
        self.seconds = seconds
        self._numbers = itertools.count()
        self._began = self._deadline = 0.0

    def begin(self) -> None:
        """Start the clock: what came before was preparation."""
        self._began = time.perf_counter()
        self._deadline = self._began + self.seconds

    def __iter__(self) -> Turns:
        return self

    def __next__(self) -> int:
        if time.perf_counter() < self._deadline:
            number = next(self._numbers)
            if number < self.most:
                return number
        raise StopIteration

    def end(self, operations_per_turn: int = 1, note: str = "") -> Sample:
        """Stop the clock, once the last turn's work is done."""
        return self.sample(min(next(self._numbers), self.most) * operations_per_turn, note)

    def sample(self, operations: int, note: str = "") -> Sample:
        """Stop the clock after work that did not go by turns."""
        return Sample(operations, time.perf_counter() - self._began, note)


class Place(msgspec.Struct, frozen=True):
    """What one contender has for itself: an empty folder, and the URLs of a log and of views that are empty as well."""

    folder: Path
    log: str
    views: str


class Home(Protocol):
    """The kind of database that the contenders share, and when what it acknowledges is safe."""

    durability: str

    def place(self) -> AbstractContextManager[Place]:
        """Give an empty place, and clean up behind whoever had it."""
        ...


Trial: TypeAlias = Callable[[Turns], Sample]
Prepare: TypeAlias = Callable[[Home, int], AbstractContextManager[Trial]]
"""Makes ready for trials of up to so many operations, and cleans up behind them."""


def fresh(run: Callable[[Place, Turns], Sample]) -> Prepare:
    """Give each trial an empty place: for workloads that need nothing prepared."""

    @contextmanager
    def prepare(home: Home, most: int) -> Iterator[Trial]:
        def trial(turns: Turns) -> Sample:
            with home.place() as place:
                return run(place, turns)

        yield trial

    return prepare


class Contender(msgspec.Struct, frozen=True):
    """Something to measure: its trials by the name of the workload, and when what it acknowledges is safe.

    ``durability`` is for a column, ``remarks`` say more below the tables; ``missing`` says why it cannot be measured here,
    if so.
    """

    name: str
    durability: str
    remarks: str = ""
    trials: dict[str, Prepare] = {}
    missing: str = ""


class Target(msgspec.Struct, frozen=True):
    """A promise: the rate of one contender is at least ``factor`` times that of the fastest of some others."""

    text: str
    factor: float
    of: str
    against: tuple[str, ...]


class Workload(msgspec.Struct, frozen=True):
    """Something to do: a trial is at most ``most`` turns and goes on for at most ``seconds``."""

    name: str
    title: str
    unit: str
    most: int
    seconds: float
    targets: tuple[Target, ...] = ()
