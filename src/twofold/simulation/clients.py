"""Those who use a simulated system: they send commands, are impatient, send again, and ask for what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from twofold.errors import LogUnavailable, TooManyConflicts
from twofold.messages import Command, Receipt, tag_of, type_hints
from twofold.service import Running, Service
from twofold.service.roles import Role
from twofold.simulation.chance import Chance
from twofold.simulation.clock import Drawn, drawn
from twofold.simulation.disks import LogDisk
from twofold.simulation.faults import Mishaps
from twofold.simulation.history import Asked, History, Sent, reading
from twofold.simulation.loop import Standstill
from twofold.simulation.plan import Plan
from twofold.simulation.process import Process, ProcessDied
from twofold.simulation.trace import Trace, shown
from twofold.simulation.values import Maker

_ATTEMPTS = 3
_PATIENCE_SECONDS = 20.0
_LOOK_SECONDS = 0.05
_LOOKS = 2000
UNKNOWN = (LogUnavailable, TooManyConflicts, ProcessDied, TimeoutError)
"""After these errors it is not known what became of a command, or nothing did; it may be sent again under its id."""


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


class Workload:
    """Makes the commands and queries of services, some more often than others.

    Each request is made by a stream of chance of its own: it is the same whichever others are sent.
    """

    def __init__(self, services: Sequence[Service], seed: int, plan: Plan) -> None:
        declared = [each.declaration for each in services]
        chance = Chance(seed, "workload")
        self._seed = seed
        self._plan = plan
        self._commands = [(each.name, kind) for each in declared for kind in each.commands.values()]
        self._weights = [chance.random() for _ in self._commands]
        self._queries = [(each.name, answer.query) for each in declared for answer in each.answers]
        self._named = named_identities([kind for _, kind in self._commands])

    def requests(self) -> list[Request]:
        """Return what is to be sent in a run, in order."""
        made: list[Request] = []
        for number in range(1, self._plan.commands + 1):
            made.append(self._request(number, [each for each in made if each.id]))
        return [each for each in made if not self._plan.sends or each.number in self._plan.sends]

    def _request(self, number: int, earlier: Sequence[Request]) -> Request:
        """Make a request: for something that was asked for before under its id, or something new."""
        chance = Chance(self._seed, f"request {number}")
        if chance.happens(self._plan.faults.repeated_id) and earlier:
            first = chance.pick(earlier)
            # One who has lost count sends another command under the same id.
            other = chance.happens(0.2)
            command = self._maker(chance).message(type(first.command)) if other else first.command
            return Request(number, first.service, command, first.id, True, chance)
        service, kind = self._picked(chance)
        command = self._maker(chance).message(kind)
        return Request(number, service, command, f"command-{number}" if chance.happens(0.8) else "", False, chance)

    def _picked(self, chance: Chance) -> tuple[str, type[Command]]:
        left = chance.between(0, sum(self._weights))
        for each, weight in zip(self._commands, self._weights, strict=True):
            left -= weight
            if left <= 0:
                return each
        return self._commands[-1]

    def query(self, chance: Chance) -> tuple[str, Any] | None:
        """Return a service and a query for it, if there is any."""
        if not self._queries:
            return None
        service, kind = chance.pick(self._queries)
        return service, self._maker(chance).message(kind)

    def _maker(self, chance: Chance) -> Maker:
        return Maker(chance, self._plan.identities, self._named)


def named_identities(messages: Sequence[type]) -> dict[str, Any]:
    """Return the types of identities by the names of the fields that have them."""
    return {
        name: hint for message in messages for name, hint in type_hints(message).items() if tag_of(hint) is not None
    }


class Client:
    """Sends commands one after the other, each to some process that is there, and asks queries after its receipts."""

    def __init__(
        self,
        name: str,
        processes: Callable[[Role], Sequence[Process]],
        workload: Workload,
        disks: dict[str, LogDisk],
        history: History,
        mishaps: Mishaps,
        trace: Trace,
    ) -> None:
        self._name = name
        self._processes = processes
        self._workload = workload
        self._disks = disks
        self._history = history
        self._mishaps = mishaps
        self._trace = trace

    async def run(self, requests: Sequence[Request], plan: Plan) -> None:
        """Send requests, perhaps ask something after one, and pause."""
        for request in requests:
            if request.is_repeated:
                self._mishaps.count("repeated_id")
            receipt = await self._send(request)
            if request.chance.happens(plan.asks):
                await self._ask(receipt, request.chance)
            await asyncio.sleep(request.chance.between(0, plan.pace_seconds))

    async def _send(self, request: Request) -> Receipt | None:
        """Send a command until it is answered, or it is enough; under an id it may be sent again."""
        for _ in range(_ATTEMPTS if request.id else 1):
            sent = await self._sent_once(request)
            if sent.receipt or not isinstance(sent.error, UNKNOWN):
                return sent.receipt
        return None

    async def _sent_once(self, request: Request) -> Sent:
        service, command, id = request.service, request.command, request.id
        process, running = await self._some("commands", service, request.chance)
        disk = self._disks[service]
        sent = Sent(service, process.name, command, id, disk.head, Drawn())
        self._history.sent.append(sent)
        self._trace.tell(self._name, f"sends {shown(command)} to {process.name} as {id or 'a new one'}")
        context = process.new_context()
        context.run(drawn.set, sent.drawn)
        call = asyncio.ensure_future(process.call(partial(running.send, command, id=id), context))
        try:
            async with asyncio.timeout(self._patience_seconds(request.chance)):
                sent.receipt = await call
        except Exception as error:
            sent.error = error.with_traceback(None)
        sent.head_after = disk.head
        self._trace.tell(self._name, f"is told {sent.receipt or repr(sent.error)}")
        return sent

    def _patience_seconds(self, chance: Chance) -> float:
        if self._mishaps.happens("cancelled_caller"):
            return chance.between(0, 4 * self._mishaps.faults.latency_seconds + 0.001)
        return _PATIENCE_SECONDS

    async def _ask(self, receipt: Receipt | None, chance: Chance) -> None:
        made = self._workload.query(chance)
        if made is None:
            return
        service, query = made
        process, running = await self._some("queries", service, chance)
        hears = [service, *running.declaration.sources]
        asked = Asked(service, query, receipt if receipt is not None and receipt.service in hears else None)
        self._history.asked.append(asked)
        context = process.new_context()
        context.run(reading.set, asked)
        work = partial(running.ask, query, after=(asked.after,) if asked.after else ())
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                asked.answer = await process.call(work, context)
        except Exception as error:
            asked.error = error.with_traceback(None)
        told = repr(asked.error) if asked.error else f"{shown(asked.answer):.100}"
        self._trace.tell(self._name, f"asks {shown(query)} of {process.name} after {asked.after} and is told {told}")

    async def _some(self, role: Role, service: str, chance: Chance) -> tuple[Process, Running]:
        """Return a process that does what is wanted, and the service in it; it may take a while until there is one."""
        for _ in range(_LOOKS):
            if up := self._processes(role):
                process = chance.pick(up)
                if process.instance is not None:
                    return process, process.instance[service]
            await asyncio.sleep(_LOOK_SECONDS)
        raise Standstill(f"{self._name} finds no process that takes {role}.")
