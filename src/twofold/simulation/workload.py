"""What is asked of a simulated system: commands and queries made from their types, and scenarios; some of it more often."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, TypeAlias

import msgspec

from twofold.errors import DeclarationError
from twofold.log import RecordedEvent
from twofold.messages import Command, source_location, tag_of, type_hints
from twofold.service import Service
from twofold.simulation.chance import Chance
from twofold.simulation.plan import Plan
from twofold.simulation.releases import Release, newest_declared
from twofold.simulation.scenarios import Scenario, check_scenarios
from twofold.simulation.starting import identities_in
from twofold.simulation.values import Maker

_Choice: TypeAlias = tuple[str, type[Command]] | Scenario

_FROM_THE_LOG = 0.75


class Usage(msgspec.Struct, frozen=True):
    """How a system is used, as far as somebody has said that; seeds draw the rest.

    ``weights`` say how often something is done in relation to other things, ``start`` has the events with which the log of a
    service begins.
    """

    weights: Mapping[type[Command] | Scenario, float] = {}
    scenarios: Sequence[Scenario] = ()
    start: Mapping[str, Sequence[RecordedEvent]] = {}


class Request(msgspec.Struct, frozen=True):
    """A command that is to be sent, as the how manyth of a run, under an id or none ('').

    ``chance`` decides on all that its client does about it.
    """

    number: int
    service: str
    command: Command
    id: str
    is_repeated: bool
    chance: Chance


class Visit(msgspec.Struct, frozen=True):
    """A scenario that is to be run, instead of a request. What it draws itself is ``drawn``, and ``maker`` makes from that."""

    number: int
    scenario: Scenario
    chance: Chance
    drawn: Chance
    maker: Maker


class Workload:
    """Makes what is asked of services.

    Each request is made by a stream of chance of its own: it is the same whichever others are sent. Of what several releases
    have, the newest one says what it looks like.
    """

    def __init__(self, releases: Sequence[Release], seed: int, plan: Plan, usage: Usage) -> None:
        self._seed = seed
        self._plan = plan
        commands = newest_declared(
            releases, lambda each: each.commands | {kind.message_name: kind for kind in each.sends}
        )
        self._choices = _weighted([*commands, *usage.scenarios], usage.weights, Chance(seed, "workload"))
        answers = newest_declared(releases, lambda each: each.queries)
        self._queries = [(service, answer.query) for service, answer in answers]
        self._named = named_identities([kind for _, kind in commands])
        self._known = self._known_identities(usage.start)

    def requests(self) -> list[Request | Visit]:
        """Return what is to be done in a run, in order."""
        made: list[Request | Visit] = []
        for number in range(1, self._plan.commands + 1):
            made.append(self._request(number, [each for each in made if isinstance(each, Request) and each.id]))
        return [each for each in made if not self._plan.sends or each.number in self._plan.sends]

    def _request(self, number: int, earlier: Sequence[Request]) -> Request | Visit:
        """Make a request: for something that was asked for before under its id, or something new."""
        chance = Chance(self._seed, f"request {number}")
        if chance.happens(self._plan.faults.repeated_id) and earlier:
            first = chance.pick(earlier)
            # One who has lost count sends another command under the same id.
            other = chance.happens(0.2)
            command = self._maker(chance).message(type(first.command)) if other else first.command
            return Request(number, first.service, command, first.id, True, chance)
        picked = self._picked(chance)
        if isinstance(picked, Scenario):
            # A stream of its own: how often its client had to try again changes nothing of what it does.
            drawn = Chance(self._seed, f"visit {number}")
            return Visit(number, picked, chance, drawn, self._maker(drawn))
        service, kind = picked
        command = self._maker(chance).message(kind)
        return Request(number, service, command, f"command-{number}" if chance.happens(0.8) else "", False, chance)

    def _picked(self, chance: Chance) -> _Choice:
        left = chance.between(0, sum([weight for _, weight in self._choices]))
        for each, weight in self._choices:
            left -= weight
            if left <= 0:
                return each
        return self._choices[-1][0]

    def query(self, chance: Chance) -> tuple[str, Any] | None:
        """Return a service and a query for it, if there is any."""
        if not self._queries:
            return None
        service, kind = chance.pick(self._queries)
        return service, self._maker(chance).message(kind)

    def _maker(self, chance: Chance) -> Maker:
        return Maker(chance, self._plan.identities, self._named, self._known)

    def _known_identities(self, start: Mapping[str, Sequence[RecordedEvent]]) -> dict[str, list[str]]:
        """Draw which of the few identities are some that the logs begin with, by tags; '' stands for a new one."""
        known = {}
        for tag, texts in identities_in(chain(*start.values())).items():
            chance = Chance(self._seed, f"identities of {tag}")
            slots = range(self._plan.identities)
            known[tag] = [chance.pick(texts) if chance.happens(_FROM_THE_LOG) else "" for _ in slots]
        return known


def _weighted(
    choices: Sequence[_Choice], weights: Mapping[type[Command] | Scenario, float], chance: Chance
) -> list[tuple[_Choice, float]]:
    """Return what is done at all, each with its weight: the one that is given, or else one that is drawn."""
    found = []
    for each in choices:
        drawn = chance.random()
        weight = weights.get(each if isinstance(each, Scenario) else each[1], drawn)
        if weight > 0:
            found.append((each, weight))
    return found


def named_identities(messages: Sequence[type]) -> dict[str, Any]:
    """Return the types of identities by the names of the fields that have them."""
    return {
        name: hint for message in messages for name, hint in type_hints(message).items() if tag_of(hint) is not None
    }


def check_usage(usage: Usage, services: Sequence[Service]) -> None:
    """Check that services can be used like that.

    Raises:
        DeclarationError: a scenario cannot be run, a weight is of something that is not done, or nothing is left to do.
    """
    check_scenarios(usage.scenarios, services)
    commands = [kind for each in services for kind in each.declaration.commands.values()]
    choices: list[type[Command] | Scenario] = [*commands, *usage.scenarios]
    for each, weight in usage.weights.items():
        if each not in choices:
            raise DeclarationError(f"weights={{…}} has {_name(each)}, which is {_what_it_is_not(each, services)}.")
        if not (math.isfinite(weight) and weight >= 0):
            raise DeclarationError(
                f"weights={{…}} has {weight} for {_name(each)}. A weight is a number: 2 for twice as often as 1, 0 for never."
            )
    if not any(usage.weights.get(each, 1) for each in choices):
        raise DeclarationError("weights={…} leaves nothing that is ever sent: every weight is 0.")


def _name(choice: Any) -> str:
    return str(getattr(choice, "__name__", "") or getattr(choice, "name", "") or repr(choice))


def _what_it_is_not(choice: Any, services: Sequence[Service]) -> str:
    if isinstance(choice, Scenario):
        return f"not among the scenarios that are given ({source_location(choice.function)})"
    return f"no command of {', '.join([each.name for each in services])}"
