"""What a seed makes of a run: how many processes and clients there are, what goes wrong, and how little room there is."""

from __future__ import annotations

import msgspec

from twofold.limits import CommandLimits, FollowerLimits, Limits, LogLimits
from twofold.simulation.chance import Chance
from twofold.simulation.faults import Faults, drawn_faults


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The circumstances of one run."""

    processes: int
    clients: int
    commands: int
    identities: int
    faults: Faults
    limits: Limits


def drawn_plan(seed: int, commands: int, faults: Faults | None = None) -> Plan:
    """Draw a plan: limits are small now and then, so that what else takes a long life of a process happens in a short one."""
    chance = Chance(seed, "plan")
    return Plan(
        processes=1 + chance.below(3),
        clients=1 + chance.below(8),
        commands=commands,
        identities=1 + chance.below(6),
        faults=drawn_faults(chance) if faults is None else faults,
        limits=_drawn_limits(chance),
    )


def _drawn_limits(chance: Chance) -> Limits:
    return Limits(
        log=LogLimits(commit_events=chance.pick([2, 20, 4096]), poll_seconds=chance.pick([0.05, 0.5])),
        commands=CommandLimits(cached_states=chance.pick([1, 3, 10_000]), page_events=chance.pick([1, 5, 2000])),
        followers=FollowerLimits(
            lease_seconds=chance.pick([0.5, 1.0, 3.0]),
            batch_events=chance.pick([1, 7, 2000]),
            cached_rows=chance.pick([1, 50_000]),
        ),
    )
