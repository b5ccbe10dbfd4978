"""Those who use a simulated system: they send commands, are impatient, send again, and ask for what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

from twofold.errors import (
    InvalidMessage,
    LogUnavailable,
    NotRunning,
    ReceiptTimeout,
    Rejected,
    TooManyConflicts,
    UnknownMessage,
    ViewNotReady,
)
from twofold.messages import Command, Query, Receipt
from twofold.service import Running
from twofold.service.roles import Role
from twofold.simulation.chance import Chance
from twofold.simulation.clock import Drawn, drawn
from twofold.simulation.disks import LogDisk
from twofold.simulation.faults import Mishaps
from twofold.simulation.history import Asked, History, Sent, Visited, reading
from twofold.simulation.loop import Standstill
from twofold.simulation.plan import Plan
from twofold.simulation.process import Process, ProcessDied
from twofold.simulation.scenarios import Client, Unanswered
from twofold.simulation.trace import Trace, shown
from twofold.simulation.workload import Request, Visit, Workload

_ATTEMPTS = 3
_PATIENCE_SECONDS = 20.0
_SCENARIO_SECONDS = 600.0
_LOOK_SECONDS = 0.05
_LOOKS = 2000
UNKNOWN = (LogUnavailable, TooManyConflicts, ProcessDied, TimeoutError)
"""After these errors it is not known what became of a command, or nothing did; it may be sent again under its id."""
NO_ANSWERS = (*UNKNOWN, ReceiptTimeout, ViewNotReady, NotRunning)
"""With these errors a query may be refused that could be answered later."""


class Caller:
    """Does one thing after the other, each with some process that is there, and asks queries after its receipts."""

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

    async def run(self, requests: Sequence[Request | Visit], plan: Plan) -> None:
        """Do what is wanted, with pauses."""
        for request in requests:
            if isinstance(request, Visit):
                await self._visit(request)
            else:
                with suppress(Unanswered):
                    await self._request(request, plan)
            await asyncio.sleep(request.chance.between(0, plan.pace_seconds))

    async def _request(self, request: Request, plan: Plan) -> None:
        """Send a command, and perhaps ask something after it."""
        if request.is_repeated:
            self._mishaps.count("repeated_id")
        sent = await self._send(request.service, request.command, request.id, request.chance)
        if request.chance.happens(plan.asks) and (made := self._workload.query(request.chance)):
            service, query = made
            await self._ask(service, query, [sent.receipt] if sent.receipt else [], request.chance)

    # Scenarios.

    async def _visit(self, visit: Visit) -> None:
        """Run a scenario, with a client for each service and what these remember."""
        visited = Visited(visit.scenario.name, self._name)
        self._history.visited.append(visited)
        self._trace.tell(self._name, f"begins {visited.scenario}")
        numbers, receipts = count(1), list[Receipt]()
        clients = {
            name: Client(
                partial(self._send_for, visit, numbers, receipts, name),
                partial(self._ask_for, visit, receipts, name),
                visit.maker,
            )
            for name in self._disks
        }
        try:
            async with asyncio.timeout(_SCENARIO_SECONDS):
                await visit.scenario(clients, visit.drawn)
        except (Rejected, Unanswered):
            return
        except Standstill:
            raise
        except Exception as error:
            visited.error = error.with_traceback(None)
            self._trace.tell(self._name, f"fails in {visited.scenario}: {visited.error!r}")

    async def _send_for(
        self, visit: Visit, numbers: Iterator[int], receipts: list[Receipt], service: str, command: Command
    ) -> Receipt:
        sent = await self._send(service, command, f"command-{visit.number}.{next(numbers)}", visit.chance)
        if isinstance(sent.error, (Rejected, InvalidMessage)):
            raise sent.error
        if sent.receipt is None:
            raise Unanswered(f"{self._name} does not know what became of {command!r}.") from sent.error
        receipts.append(sent.receipt)
        return sent.receipt

    async def _ask_for(self, visit: Visit, receipts: Sequence[Receipt], service: str, query: Query[Any]) -> Any:
        for _ in range(_ATTEMPTS):
            asked = await self._ask(service, query, receipts, visit.chance)
            if asked.error is None:
                return asked.answer
            if isinstance(asked.error, InvalidMessage):
                raise asked.error
            if not isinstance(asked.error, NO_ANSWERS):
                break
        raise Unanswered(f"{self._name} is told nothing about {query!r}.") from asked.error

    # Commands and queries.

    async def _send(self, service: str, command: Command, id: str, chance: Chance) -> Sent:
        """Send a command until it is answered, or it is enough; under an id it may be sent again."""
        for _ in range(_ATTEMPTS if id else 1):
            sent = await self._sent_once(service, command, id, chance)
            if sent.receipt or not isinstance(sent.error, UNKNOWN):
                break
        return sent

    async def _sent_once(self, service: str, command: Command, id: str, chance: Chance) -> Sent:
        process, running = await self._some("commands", service, command, chance)
        disk = self._disks[service]
        taken = process.release.received(service, command)
        sent = Sent(service, process.name, process.release, taken or command, id, disk.head, Drawn())
        if taken is None:
            sent.error = UnknownMessage(f"The code of {process.name} does not take {command!r}.")
            self._trace.tell(self._name, f"has {shown(command)} for {process.name}, whose code does not take it")
            return sent
        self._history.send(sent)
        self._trace.tell(self._name, f"sends {shown(command)} to {process.name} as {id or 'a new one'}")
        context = process.new_context()
        context.run(drawn.set, sent.drawn)
        call = asyncio.ensure_future(process.call(partial(running.send, taken, id=id), context))
        try:
            async with asyncio.timeout(self._patience_seconds(chance)):
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

    async def _ask(self, service: str, query: Query[Any], receipts: Sequence[Receipt], chance: Chance) -> Asked:
        """Ask something, after the last receipt that the service knows of."""
        process, running = await self._some("queries", service, query, chance)
        hears = [service, *running.declaration.sources]
        taken = process.release.received(service, query)
        asked = Asked(service, taken or query, next((each for each in receipts[::-1] if each.service in hears), None))
        if taken is None:
            asked.error = UnknownMessage(f"The code of {process.name} does not take {query!r}.")
            return asked
        self._history.asked.append(asked)
        context = process.new_context()
        context.run(reading.set, asked)
        work = partial(running.ask, taken, after=(asked.after,) if asked.after else ())
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                asked.answer = await process.call(work, context)
        except Exception as error:
            asked.error = error.with_traceback(None)
        told = repr(asked.error) if asked.error else f"{shown(asked.answer):.100}"
        self._trace.tell(self._name, f"asks {shown(query)} of {process.name} after {asked.after} and is told {told}")
        return asked

    async def _some(self, role: Role, service: str, message: Any, chance: Chance) -> tuple[Process, Running]:
        """Return a process that does what is wanted, and the service in it; it may take a while until there is one.

        It is one whose code takes the message, if there is such a one.

        Raises:
            Unanswered: there was none for a long time, in which something has gone wrong.
            Standstill: there was none, and nothing has gone wrong.
        """
        for _ in range(_LOOKS):
            if up := self._processes(role):
                process = chance.pick([each for each in up if each.release.received(service, message)] or up)
                if process.instance is not None:
                    return process, process.instance[service]
            await asyncio.sleep(_LOOK_SECONDS)
        if self._mishaps.counts:
            # Whoever starts at such a time may fail again and again; in the end, when all is calm, each has to be there.
            self._trace.tell(self._name, f"gives up, as there is no process that takes {role}")
            raise Unanswered(f"{self._name} finds no process that takes {role}.")
        raise Standstill(f"{self._name} finds no process that takes {role}.")
