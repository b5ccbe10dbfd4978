"""What may go wrong in a simulation, and how often."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import fields

from twofold.simulation.chance import Chance

Probability = Annotated[float, Meta(ge=0, lt=1)]


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How probable each fault is. Without any, nothing goes wrong, and nothing takes time.

    >>> Faults().death
    0.0
    """

    # At each turn of a process.
    death: Probability = 0.0
    """It dies, and nothing is left of it but what is stored. What it has sent to a database may arrive there or not."""
    pause: Probability = 0.0
    """It stands still for a while, and goes on as if nothing had happened: its leases may have ended."""

    # At each way to a database or a broker.
    unknown_outcome: Probability = 0.0
    """A write is stored, and the answer says that the database is away."""
    refused_write: Probability = 0.0
    """The database is away, and nothing is stored."""
    refused_read: Probability = 0.0
    """The database is away."""
    slow: Probability = 0.0
    """The way there, or back, takes up to ``slow_seconds``."""
    refused_row: Probability = 0.0
    """A database of views does not take rows, as if it never would: their keys are parked."""
    lost_wake_up: Probability = 0.0
    """Those who wait for news of a commit are not told."""
    repeated_delivery: Probability = 0.0
    """What another service has published is delivered again, with what came after it."""

    # At each command.
    cancelled_caller: Probability = 0.0
    """Its caller goes away before it is answered."""
    repeated_id: Probability = 0.0
    """One that was sent before is sent again, or another one under its id."""

    # At each look of an operator, four times a second.
    restart: Probability = 0.0
    """A process is ended in peace, and started again."""
    partition: Probability = 0.0
    """A process reaches nothing for a while."""
    full_disk: Probability = 0.0
    """No write is taken for a while."""
    clock_jump: Probability = 0.0
    """The clock of a process, or of the views' databases, is set forwards or back."""
    division: Probability = 0.0
    """A follower's segments are split, or merged."""
    rebuild: Probability = 0.0
    """A view is rebuilt."""
    retry: Probability = 0.0
    """What is parked is tried again."""

    latency_seconds: float = 0.0
    """How long each way to a database takes at the most, without being slow."""
    slow_seconds: float = 0.0
    pause_seconds: float = 0.0
    """How long a pause, a partition and a full disk take at the most."""
    jump_seconds: float = 0.0
    """By how much a clock is set forwards or back, at the most."""


_MOST = Faults(
    death=0.004,
    pause=0.003,
    unknown_outcome=0.08,
    refused_write=0.08,
    refused_read=0.04,
    slow=0.1,
    refused_row=0.15,
    lost_wake_up=0.5,
    repeated_delivery=0.3,
    cancelled_caller=0.15,
    repeated_id=0.2,
    restart=0.15,
    partition=0.1,
    full_disk=0.05,
    clock_jump=0.2,
    division=0.4,
    rebuild=0.3,
    retry=0.2,
    latency_seconds=0.004,
    slow_seconds=1.5,
    pause_seconds=6.0,
    jump_seconds=3600.0,
)
_SECONDS = {"latency_seconds", "slow_seconds", "pause_seconds", "jump_seconds"}


def drawn_faults(chance: Chance) -> Faults:
    """Draw how probable each fault is: some do not happen in a run at all, as a fault may be hidden by another one."""
    return Faults(**{each.name: _drawn(chance, each.name) for each in fields(Faults)})


def _drawn(chance: Chance, name: str) -> float:
    most: float = getattr(_MOST, name)
    if name in _SECONDS:
        return chance.between(most / 10, most)
    return most * chance.random() ** 2 if chance.happens(0.5) else 0.0


class Mishaps:
    """Says of each thing that could go wrong now whether it does. Once it is ``calm``, nothing does any more."""

    def __init__(self, chance: Chance, faults: Faults) -> None:
        self.chance = chance
        self.faults = faults
        self.is_full = False
        """Whether no disk takes a write now."""
        self.counts: Counter[str] = Counter()
        """How often each fault has happened."""

    def calm(self) -> None:
        """Let nothing go wrong from now on; the ways to databases take their time as before."""
        self.is_full = False
        self.faults = Faults(latency_seconds=self.faults.latency_seconds)

    def happens(self, fault: str) -> bool:
        """Say whether a fault, by its name, happens now."""
        if not self.chance.happens(getattr(self.faults, fault)):
            return False
        self.count(fault)
        return True

    def count(self, fault: str) -> None:
        """Take note of a fault that happens."""
        self.counts[fault] += 1

    def delay_seconds(self) -> float:
        """Return how long a way to a database takes now."""
        faults = self.faults
        if self.happens("slow"):
            return self.chance.between(0, faults.slow_seconds)
        return self.chance.between(0, faults.latency_seconds) if faults.latency_seconds else 0.0

    def while_seconds(self) -> float:
        """Return for how long something that goes wrong for a while does."""
        return self.chance.between(0, self.faults.pause_seconds)
