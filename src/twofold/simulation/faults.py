"""What may go wrong in a simulation, and how often."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import fields

from twofold.simulation.chance import Chance

Probability = Annotated[float, Meta(ge=0, lt=1)]


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """How probable each fault is. Without any, nothing goes wrong, and nothing takes time.

    >>> Faults().death
    0.0
    """

    death: Probability = 0.0
    """At each turn of a process: it dies, and nothing is left of it but what is stored. What it has sent to a database may
    arrive there or not."""
    pause: Probability = 0.0
    """At each turn of a process: it stands still for a while, and goes on as if nothing had happened."""
    unknown_outcome: Probability = 0.0
    """At each write: it is stored, and the answer says that the database is away."""
    refused_write: Probability = 0.0
    """At each write: the database is away, and nothing is stored."""
    refused_read: Probability = 0.0
    """At each reading: the database is away."""
    slow: Probability = 0.0
    """At each way to a database, or back: it takes up to ``slow_seconds``."""
    lost_wake_up: Probability = 0.0
    """At each commit: those who wait for news are not told."""
    cancelled_caller: Probability = 0.0
    """At each command: its caller goes away before it is answered."""
    repeated_id: Probability = 0.0
    """At each command: one that was sent before is sent again, or another one under its id."""
    latency_seconds: float = 0.0
    """How long each way to a database takes at the most, without being slow."""
    slow_seconds: float = 0.0
    pause_seconds: float = 0.0
    """How long a pause takes at the most."""


_MOST = Faults(
    death=0.0015,
    pause=0.001,
    unknown_outcome=0.08,
    refused_write=0.08,
    refused_read=0.04,
    slow=0.1,
    lost_wake_up=0.5,
    cancelled_caller=0.15,
    repeated_id=0.2,
    latency_seconds=0.004,
    slow_seconds=1.5,
    pause_seconds=6.0,
)


_SECONDS = {"latency_seconds", "slow_seconds", "pause_seconds"}


def drawn_faults(chance: Chance) -> Faults:
    """Draw how probable each fault is: some do not happen in a run at all, as a fault may be hidden by another one."""
    return Faults(**{each.name: _drawn(chance, each.name) for each in fields(Faults)})


def _drawn(chance: Chance, name: str) -> float:
    most: float = getattr(_MOST, name)
    if name in _SECONDS:
        return chance.between(most / 10, most)
    return most * chance.random() ** 2 if chance.happens(0.6) else 0.0


class Mishaps:
    """Says of each thing that could go wrong now whether it does. Once it is ``calm``, nothing does any more."""

    def __init__(self, chance: Chance, faults: Faults) -> None:
        self.chance = chance
        self.faults = faults

    def calm(self) -> None:
        """Let nothing go wrong from now on; the ways to databases take their time as before."""
        self.faults = Faults(latency_seconds=self.faults.latency_seconds)

    def happens(self, fault: str) -> bool:
        """Say whether a fault, by its name, happens now."""
        return self.chance.happens(getattr(self.faults, fault))

    def delay_seconds(self) -> float:
        """Return how long a way to a database takes now."""
        faults = self.faults
        if self.chance.happens(faults.slow):
            return self.chance.between(0, faults.slow_seconds)
        return self.chance.between(0, faults.latency_seconds) if faults.latency_seconds else 0.0
