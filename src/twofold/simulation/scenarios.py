"""What people do with a service, one step after the other: they read, and send what follows from what they have read."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import msgspec

from twofold.errors import DeclarationError
from twofold.folding import parameters
from twofold.messages import Command, Query, Receipt, source_location, type_hints
from twofold.service import Service
from twofold.simulation.chance import Chance
from twofold.simulation.values import Maker

A = TypeVar("A")
M = TypeVar("M")

Send: TypeAlias = Callable[[Command], Awaitable[Receipt]]
Ask: TypeAlias = Callable[[Query[Any]], Awaitable[Any]]


class Unanswered(Exception):
    """A client was told nothing in several attempts, and does not wait any longer. It ends a scenario, and breaks no rule."""


class Client:
    """A user of one service in a simulated world, as a scenario has it. What it sends and asks is judged like all else."""

    def __init__(self, send: Send, ask: Ask, maker: Maker) -> None:
        self._send = send
        self._ask = ask
        self._maker = maker

    async def send(self, command: Command) -> Receipt:
        """Send a command; if it is not known what became of it, again under its id.

        Raises:
            InvalidMessage: it does not fit its type.
            Rejected: it was decided against.
            Unanswered: nothing else was told in several attempts.
        """
        return await self._send(command)

    async def ask(self, query: Query[A]) -> A:
        """Ask something, after the last receipt of this run that the service knows of; if it is not answered, again.

        Raises:
            InvalidMessage: it does not fit its type.
            Unanswered: nothing else was told in several attempts.
        """
        answer: A = await self._ask(query)
        return answer

    def make(self, message: type[M], **fields: Any) -> M:
        """Return a command or a query with these fields; all others are made up from its type.

        Raises:
            DeclarationError: a field is of a type of which nothing can be made up.
        """
        return self._maker.message(message, **fields)


class Scenario(msgspec.Struct, frozen=True):
    """A function that uses services; ``chance`` is the name of the parameter that gets chance, or ''."""

    function: Callable[..., Awaitable[None]]
    services: tuple[str, ...]
    """The names of the parameters that get clients."""
    chance: str

    @property
    def name(self) -> str:
        """The function's."""
        return self.function.__name__

    def is_about(self, services: Sequence[Service]) -> bool:
        """Say whether it can be run with some services: one if it uses one, and else those that its parameters name."""
        return len(services) == len(self.services) == 1 or {*self.services} <= {each.name for each in services}

    async def __call__(self, clients: Mapping[str, Client], chance: Chance) -> None:
        """Run it with the clients of all services, by their names."""
        (*others,) = clients.values()
        given = {each: clients[each] if each in clients else others[0] for each in self.services}
        await self.function(**given, **({self.chance: chance} if self.chance else {}))


def scenario(function: Callable[..., Awaitable[None]]) -> Scenario:
    """Declare what people do with a service, for simulations to do now and then among all that they send.

    In a system, there is a parameter for each service that is used, with its name. All that is drawn from ``chance``, if there
    is such a parameter, is the seed's::

        @scenario
        async def hands_over_what_it_has_seen(hospital: Client, chance: Chance) -> None:
            doctors = await hospital.ask(WhoIsOnCall())
            if len(doctors) > 1:
                await hospital.send(hospital.make(HandOver, doctor=doctors[0].key, colleague=doctors[1].key))

    It ends where it is rejected, unless it catches that, and where nobody answers. Any other error breaks a rule, so it may
    assert what it finds; and so does one that takes ten minutes, of virtual time.

    Raises:
        DeclarationError: it is no async function, or its annotations say nothing of that kind.
    """
    if inspect.iscoroutinefunction(function):
        hints = {each.name: type_hints(function).get(each.name) for each in parameters(function)}
        clients = tuple([name for name, hint in hints.items() if hint is Client])
        chances = [name for name, hint in hints.items() if hint is Chance]
        if clients and len(chances) <= 1 and len(clients) + len(chances) == len(hints):
            return Scenario(function, clients, "".join(chances))
    raise DeclarationError(
        f"{source_location(function)} has @scenario, and is no async function whose annotations say what it uses: a client of "
        "each service (bank: Client), and perhaps chance (chance: Chance)."
    )


def check_scenarios(scenarios: Sequence[Any], services: Sequence[Service]) -> None:
    """Check that all can be run.

    Raises:
        DeclarationError: one is no scenario, or uses something else than these services.
    """
    names = ", ".join([each.name for each in services])
    for each in scenarios:
        if not isinstance(each, Scenario):
            raise DeclarationError(f"scenarios=[…] has {source_location(each)}, which is not decorated with @scenario.")
        if not each.is_about(services):
            raise DeclarationError(
                f"{source_location(each.function)} uses {', '.join(each.services)}, and what is simulated is {names}. In a "
                "system, each parameter that is a Client has the name of its service."
            )
