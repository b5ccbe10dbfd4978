"""Chance from a seed: several streams of it, so that what one part draws changes nothing for the others."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """A stream of chance: the same for the same seed and name, on every version of Python.

    >>> Chance(7, "clients").pick("abc") == Chance(7, "clients").pick("abc")
    True
    """

    def __init__(self, seed: int, name: str) -> None:
        self.random = Random(f"{seed}/{name}").random  # The only method of it that no version of Python has changed.
        """Return a number in [0, 1)."""

    def happens(self, probability: float) -> bool:
        """Say whether something happens that has this probability."""
        return probability > 0 and self.random() < probability

    def below(self, limit: int) -> int:
        """Return a whole number from 0 up to a limit, which is not included."""
        return int(self.random() * limit)

    def between(self, low: float, high: float) -> float:
        """Return a number from one up to another."""
        return low + self.random() * (high - low)

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of some choices."""
        return choices[self.below(len(choices))]

    def turns_until(self, probability: float) -> int:
        """Return in how many turns something happens for the first time that each has this probability of: 0 for never."""
        if probability <= 0:
            return 0
        return 1 + int(log(1 - self.random()) / log(1 - probability))
