"""What a seed makes of a run: how many processes and clients there are, what goes wrong, and how little room there is."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from twofold.errors import InvalidMessage
from twofold.limits import CommandLimits, FollowerLimits, Limits, LogLimits
from twofold.service import ROLES
from twofold.service.roles import Role
from twofold.simulation.chance import Chance
from twofold.simulation.faults import Faults, Probability, drawn_faults

_BATCHES_OF_THE_START = 50


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The circumstances of one run; what is not said is as simple as can be.

    ``processes`` has the roles of each. Of so many ``commands`` only those in ``sends`` are sent, by their numbers, if it
    names any; a scenario counts as one. After a command its client asks something with the probability ``asks``, and then
    waits for ``pace_seconds`` at the most. ``snapshot_every`` stands for that of all aggregates, 0 for what each says itself.
    Where something is deployed, it is taken back once and deployed again if it ``rolls_back``.
    """

    processes: tuple[tuple[Role, ...], ...] = (ROLES,)
    clients: int = 1
    commands: int = 100
    sends: tuple[int, ...] = ()
    asks: Probability = 0.0
    pace_seconds: float = 0.0
    identities: int = 1
    has_broker: bool = False
    rolls_back: bool = False
    snapshot_every: int = 0
    faults: Faults = Faults()
    limits: Limits = Limits()


def drawn_plan(seed: int, commands: int, faults: Faults | None = None, *, deploys: bool = False) -> Plan:
    """Draw a plan: limits are small now and then, so that what else takes a long life of a process happens in a short one."""
    chance = Chance(seed, "plan")
    return Plan(
        processes=_drawn_processes(chance),
        clients=chance.pick([1, 2, 4, 8]),
        commands=commands,
        asks=0.5,
        pace_seconds=chance.pick([0.01, 0.01, 0.1, 0.5, 1.5]),
        identities=chance.pick([1, 2, 2, 3, 4, 6]),
        has_broker=chance.happens(0.5),
        snapshot_every=chance.pick([0, 1, 2, 7]),
        faults=drawn_faults(chance) if faults is None else faults,
        limits=_drawn_limits(chance),
        rolls_back=deploys and Chance(seed, "rolling back").happens(0.4),
    )


def with_room(plan: Plan, events: int) -> Plan:
    """Return a plan whose limits are not so small that reading as many events as there are at first takes all of its time."""
    most = events // _BATCHES_OF_THE_START
    limits = plan.limits
    commands = replace(limits.commands, page_events=max(limits.commands.page_events, most))
    followers = replace(limits.followers, batch_events=max(limits.followers.batch_events, most))
    return replace(plan, limits=replace(limits, commands=commands, followers=followers))


def plan_text(plan: Plan) -> str:
    """Return a plan as JSON, without all that is as simple as can be."""
    kept = _differences(msgspec.to_builtins(plan), msgspec.to_builtins(Plan()))
    return msgspec.json.encode(kept).decode()


def read_plan(text: str) -> Plan:
    """Return the plan that `plan_text` has made a text of.

    Raises:
        InvalidMessage: it is none; the text says what is wrong.
    """
    try:
        return msgspec.json.decode(text, type=Plan)
    except msgspec.DecodeError as error:
        raise InvalidMessage(f"This is no plan: {error}. The report of a failure has one.") from error


def _differences(value: dict[str, Any], default: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _differences(each, default[name]) if isinstance(each, dict) else each
        for name, each in value.items()
        if each != default[name]
    }


def _drawn_processes(chance: Chance) -> tuple[tuple[Role, ...], ...]:
    if chance.happens(0.7):
        return (ROLES,) * chance.pick([1, 2, 2, 3])
    apart: list[tuple[Role, ...]] = [("commands", "queries"), ("followers", "processes", "relay")]
    return (*apart, *[chance.pick([*apart, ROLES, ("queries",)]) for _ in range(chance.below(3))])


def _drawn_limits(chance: Chance) -> Limits:
    return Limits(
        log=LogLimits(commit_events=chance.pick([1, 2, 20, 4096]), poll_seconds=chance.pick([0.05, 0.5])),
        commands=CommandLimits(cached_states=chance.pick([1, 3, 10_000]), page_events=chance.pick([1, 5, 2000])),
        followers=FollowerLimits(
            lease_seconds=chance.pick([0.5, 1.0, 3.0]),
            batch_events=chance.pick([1, 7, 2000]),
            cached_rows=chance.pick([1, 50_000]),
        ),
    )
