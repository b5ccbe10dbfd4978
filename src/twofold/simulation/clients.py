"""Those who use a simulated system: they send commands, are impatient, send again, and ask for what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

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
from twofold.simulation.process import Process, ProcessDied
from twofold.simulation.trace import Trace
from twofold.simulation.values import Maker

_ATTEMPTS = 3
_PATIENCE_SECONDS = 20.0
_LOOK_SECONDS = 0.05
_LOOKS = 2000
UNKNOWN = (LogUnavailable, TooManyConflicts, ProcessDied, TimeoutError, asyncio.CancelledError)
"""After these errors it is not known what became of a command, or nothing did; it may be sent again under its id."""


class Workload:
    """Makes the commands and queries of services, some more often than others."""

    def __init__(self, services: Sequence[Service], chance: Chance, identities: int) -> None:
        self._chance = chance
        declared = [each.declaration for each in services]
        self._commands = [(each.name, kind) for each in declared for kind in each.commands.values()]
        self._weights = [chance.random() for _ in self._commands]
        self._queries = {each.name: [answer.query for answer in each.answers] for each in declared}
        self._maker = Maker(chance, identities, named_identities([kind for _, kind in self._commands]))
        self._made: list[tuple[str, Command, str]] = []
        self._number = 0

    def command(self, mishaps: Mishaps) -> tuple[str, Command, str]:
        """Return a service, a command for it, and an id for the command: that of an earlier one, a new one, or none."""
        if self._made and mishaps.happens("repeated_id"):
            service, command, id = self._chance.pick(self._made)
            # One who has lost count sends another command under the same id.
            return service, self._maker.message(type(command)) if self._chance.happens(0.2) else command, id
        service, kind = self._picked()
        self._number += 1
        made = service, self._maker.message(kind), f"command-{self._number}" if self._chance.happens(0.8) else ""
        if made[2]:
            self._made.append(made)
        return made

    def _picked(self) -> tuple[str, type[Command]]:
        left = self._chance.between(0, sum(self._weights))
        for each, weight in zip(self._commands, self._weights, strict=True):
            left -= weight
            if left <= 0:
                return each
        return self._commands[-1]

    def query(self) -> tuple[str, Any] | None:
        """Return a service and a query for it, if there is any."""
        asked = [(service, kind) for service, kinds in self._queries.items() for kind in kinds]
        if not asked:
            return None
        service, kind = self._chance.pick(asked)
        return service, self._maker.message(kind)


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
        chance: Chance,
        trace: Trace,
    ) -> None:
        self._name = name
        self._processes = processes
        self._workload = workload
        self._disks = disks
        self._history = history
        self._mishaps = mishaps
        self._chance = chance
        self._trace = trace

    async def run(self, commands: int, pace_seconds: float) -> None:
        """Send so many commands, with a pause after each."""
        for _ in range(commands):
            receipt = await self._send(*self._workload.command(self._mishaps))
            if self._chance.happens(0.3):
                await self._ask(receipt)
            await asyncio.sleep(self._chance.between(0, pace_seconds))

    async def _send(self, service: str, command: Command, id: str) -> Receipt | None:
        """Send a command until it is answered, or it is enough; under an id it may be sent again."""
        for _ in range(_ATTEMPTS if id else 1):
            sent = await self._sent_once(service, command, id)
            if sent.receipt or not isinstance(sent.error, UNKNOWN):
                return sent.receipt
        return None

    async def _sent_once(self, service: str, command: Command, id: str) -> Sent:
        process, running = await self._some("commands", service)
        disk = self._disks[service]
        sent = Sent(service, process.name, command, id, disk.head, Drawn())
        self._history.sent.append(sent)
        self._trace.tell(self._name, f"sends {command!r} to {process.name} as {id or 'a new one'}")
        context = process.new_context()
        context.run(drawn.set, sent.drawn)
        call = asyncio.ensure_future(process.call(partial(running.send, command, id=id), context))
        try:
            async with asyncio.timeout(self._patience_seconds()):
                sent.receipt = await call
        except BaseException as error:
            sent.error = error.with_traceback(None)
        sent.head_after = disk.head
        self._trace.tell(self._name, f"is told {sent.receipt or repr(sent.error)}")
        return sent

    def _patience_seconds(self) -> float:
        if self._mishaps.happens("cancelled_caller"):
            return self._chance.between(0, 4 * self._mishaps.faults.latency_seconds + 0.001)
        return _PATIENCE_SECONDS

    async def _ask(self, receipt: Receipt | None) -> None:
        made = self._workload.query()
        if made is None:
            return
        service, query = made
        process, running = await self._some("queries", service)
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
        told = repr(asked.error) if asked.error else f"{asked.answer!r:.100}"
        self._trace.tell(self._name, f"asks {query!r} of {process.name} after {asked.after} and is told {told}")

    async def _some(self, role: Role, service: str) -> tuple[Process, Running]:
        """Return a process that does what is wanted, and the service in it; it may take a while until there is one."""
        for _ in range(_LOOKS):
            if up := self._processes(role):
                process = self._chance.pick(up)
                if process.instance is not None:
                    return process, process.instance[service]
            await asyncio.sleep(_LOOK_SECONDS)
        raise Standstill(f"{self._name} finds no process that takes {role}.")
