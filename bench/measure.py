"""Trials in turn: first each contender once, then each once more, so that a slow minute of the machine hits all alike."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import msgspec

from bench.model import Contender, Home, Sample, Target, Trial, Turns, Workload


class Measured(msgspec.Struct, frozen=True):
    """A contender's rates in one workload: the median, and those of all rounds in their order."""

    contender: str
    durability: str
    per_second: float
    rates: list[float]
    note: str

    def over(self, others: Sequence[Measured]) -> float:
        """Return how many times faster it is than the fastest of some others: the median of what each round says.

        What slows the machine for a while slows all of a round, so a round's ratio is steadier than its rates.
        """
        rounds = zip(self.rates, *[each.rates for each in others], strict=True)
        factors: list[float] = [own / max(rivals) for own, *rivals in rounds]
        return statistics.median(factors)


class Verdict(msgspec.Struct, frozen=True):
    """What became of a target; ``factor`` is None where something to compare with is missing."""

    text: str
    wanted: float
    factor: float | None

    @property
    def reached(self) -> bool | None:
        """Whether the target was reached."""
        return None if self.factor is None else self.factor >= self.wanted


class Result(msgspec.Struct, frozen=True):
    """All of one workload."""

    workload: str
    title: str
    unit: str
    rounds: int
    measured: list[Measured]
    verdicts: list[Verdict]


class Effort(msgspec.Struct, frozen=True):
    """How long to measure: so many rounds, and which part of a workload's turns and seconds in each."""

    rounds: int = 5
    part: float = 1.0

    def turns(self, workload: Workload) -> Turns:
        """Return the turns of one trial."""
        return Turns(self.most(workload), workload.seconds * self.part)

    def most(self, workload: Workload) -> int:
        """Return how many turns a trial has at most."""
        return int(workload.most * self.part)


def measure(
    workload: Workload, contenders: Sequence[Contender], home: Home, effort: Effort, tell: Callable[[str], None]
) -> Result:
    """Have the contenders do a workload, and compare."""
    samples: dict[str, list[Sample]] = {}
    with ExitStack() as stack:
        trials: dict[str, Trial] = {}
        for each in contenders:
            tell(f"{workload.title}: preparing {each.name}")
            prepare = each.trials[workload.name]
            trials[each.name] = stack.enter_context(prepare(home, effort.most(workload)))
        for number in range(1, effort.rounds + 1):
            for name, trial in trials.items():
                tell(f"{workload.title}: round {number} of {effort.rounds}, {name}")
                gc.collect()
                samples.setdefault(name, []).append(trial(effort.turns(workload)))
    measured = [_measured(each, samples[each.name]) for each in contenders]
    verdicts = [_verdict(target, measured) for target in workload.targets]
    return Result(workload.name, workload.title, workload.unit, effort.rounds, measured, verdicts)


def _measured(contender: Contender, samples: Sequence[Sample]) -> Measured:
    rates = [sample.per_second for sample in samples]
    return Measured(contender.name, contender.durability, statistics.median(rates), rates, samples[-1].note)


def _verdict(target: Target, measured: Sequence[Measured]) -> Verdict:
    own = [each for each in measured if each.contender == target.of]
    others = [each for each in measured if each.contender.startswith(target.against)]
    return Verdict(target.text, target.factor, own[0].over(others) if own and others else None)
