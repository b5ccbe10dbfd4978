"""Stand-ins: what simulated worlds have in the place of what event handlers reach the outside by, such as somebody's API."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar

import msgspec

from twofold.errors import DeclarationError
from twofold.folding import parameters
from twofold.messages import source_location
from twofold.processes import Resources
from twofold.service import Service
from twofold.simulation.chance import Chance

R = TypeVar("R")


class StandIn(msgspec.Struct, frozen=True):
    """What stands in for a resource: the function makes it, once for each world."""

    resource: type
    function: Callable[[Chance], Any]


def stand_in(resource: type[R]) -> Callable[[Callable[[Chance], R]], StandIn]:
    """Declare what stands in for a resource in simulations: a function that makes it, once for each world.

    All processes of a world share it, as they would share an API, and it outlives them. What it draws from its `Chance` is the
    seed's, and it may `asyncio.sleep`, in virtual time: so it can be slow, fail, and lose an answer. A process that dies while
    it waits for it gets none::

        @stand_in(Mailer)
        def mail_server(chance: Chance) -> Mailer:
            return SimulatedMailer(chance)

    Raises:
        DeclarationError: it is no function of one parameter.
    """

    def declare(function: Callable[[Chance], R]) -> StandIn:
        if not inspect.isfunction(function) or len(parameters(function)) != 1:
            raise DeclarationError(
                f"{source_location(function)} has @stand_in({resource.__name__}), and is no function of one parameter. Write "
                f"def …(chance: Chance) -> {resource.__name__}."
            )
        return StandIn(resource, function)

    return declare


def check_stand_ins(stand_ins: Sequence[Any], services: Sequence[Service]) -> None:
    """Check that nothing real is reached: handlers are given what is made up.

    Raises:
        DeclarationError: something stands in for nothing that a handler takes, or nothing for something that one does.
    """
    for each in stand_ins:
        if not isinstance(each, StandIn):
            raise DeclarationError(f"stand_ins=[…] has {source_location(each)}, which is not decorated with @stand_in.")
        if not is_taken(each, services):
            raise DeclarationError(
                f"{source_location(each.function)} stands in for {each.resource.__name__}, which no event handler takes."
            )
    known = {each.resource for each in stand_ins}
    for service in services:
        for handler in service.declaration.handlers:
            for kind in handler.resources.values():
                if kind not in known:
                    raise DeclarationError(
                        f"{service.name}: {handler.name} takes {source_location(kind)}, and simulations reach nothing real. "
                        f"Say what stands in for it: @stand_in({kind.__name__}) def …(chance: Chance) -> {kind.__name__}, "
                        "in stand_ins=[…] or, for the command line, in the module of the target."
                    )


def is_taken(stand_in: StandIn, services: Sequence[Service]) -> bool:
    """Say whether an event handler of some services takes what it stands in for."""
    return any(stand_in.resource in _taken(each) for each in services)


class Outside:
    """All that is outside of a world's processes: each stand-in, made once."""

    def __init__(self, stand_ins: Sequence[StandIn], seed: int) -> None:
        self._made = {
            each.resource: each.function(Chance(seed, f"stand-in for {each.resource.__name__}")) for each in stand_ins
        }

    def resources(self, services: Mapping[str, Service]) -> dict[str, Resources]:
        """Return what opens the resources of services, by their names."""
        return {
            name: {kind: partial(nullcontext, self._made[kind]) for kind in _taken(each)}
            for name, each in services.items()
        }


def _taken(service: Service) -> list[type]:
    handlers = service.declaration.handlers
    return list(dict.fromkeys([kind for handler in handlers for kind in handler.resources.values()]))
