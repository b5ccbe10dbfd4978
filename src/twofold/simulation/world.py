"""A simulated world: processes of a system on their disks, clients, and what goes wrong; then calm, until all is caught up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

from twofold.errors import LogUnavailable
from twofold.followers import checkpoints
from twofold.service import Service, Settings, System
from twofold.simulation.chance import Chance
from twofold.simulation.clients import Client, Workload
from twofold.simulation.clock import SimulatedClock
from twofold.simulation.faults import Mishaps
from twofold.simulation.history import History
from twofold.simulation.log_store import LogDisk, SimulatedLogStore
from twofold.simulation.loop import SimulatedLoop
from twofold.simulation.plan import Plan
from twofold.simulation.process import Process
from twofold.simulation.trace import Trace
from twofold.simulation.view_store import SimulatedViewStore, ViewDisk
from twofold.simulation.wire import Wire, at_once

_RESTART_SECONDS = 1.0
_LOOK_SECONDS = 0.1
_CATCHING_UP_SECONDS = 120.0


class World:
    """One run of some services by a seed. What is left of it afterwards is the evidence."""

    def __init__(self, services: Sequence[Service], seed: int, plan: Plan) -> None:
        self.services = services
        self.seed = seed
        self.plan = plan
        self.loop = SimulatedLoop(Chance(seed, "turns"))  # type: ignore[abstract]  # What it lacks, it says.
        self.trace = Trace(self.loop.time)
        self.history = History()
        self.logs = {each.name: LogDisk() for each in services}
        self.views = {each.name: ViewDisk() for each in services}
        self.behind: list[str] = []
        self.broken: list[str] = []
        self._mishaps = Mishaps(Chance(seed, "mishaps"), plan.faults)
        self._chance = Chance(seed, "world")
        self._processes: list[Process] = []
        self._all: list[Process] = []
        self._outside: list[asyncio.Task[None]] = []

    def run(self) -> None:
        """Live through it.

        Raises:
            Standstill: what clients wait for does not come, nor the end of their patience.
        """
        self.loop.run(self._live())

    def view_store(self, service: str) -> SimulatedViewStore:
        """Return a store on a service's views in which nothing takes time: for looking at them from outside."""
        return SimulatedViewStore(self.views[service], SimulatedClock(self.loop, Chance(self.seed, "outside")))

    def close(self) -> None:
        """Let everything come to its end that is left of dead processes, and free what the disks hold."""
        self.trace.end()
        self.loop.run(self._bury())
        for disk in self.views.values():
            disk.close()

    async def _bury(self) -> None:
        for task in self._outside:
            task.cancel()
        await asyncio.gather(*self._outside, return_exceptions=True)
        for process in self._all:
            await process.bury()

    async def _live(self) -> None:
        for number in range(self.plan.processes):
            self._begin(self._keep(number))
        workload = Workload(self.services, Chance(self.seed, "workload"), self.plan.identities)
        share = -(-self.plan.commands // self.plan.clients)
        clients = [self._client(number, workload) for number in range(self.plan.clients)]
        await asyncio.gather(*[self._begin(client.run(share)) for client in clients])
        self.trace.tell("world", "From now on nothing goes wrong.")
        self._mishaps.calm()
        for process in self._processes:
            process.turns_left = 0
            process.resume()
        await self._catch_up()

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin something that belongs to no process."""
        task = asyncio.ensure_future(work)
        self._outside.append(task)
        return task

    def _client(self, number: int, workload: Workload) -> Client:
        chance = Chance(self.seed, f"client {number}")
        return Client(
            f"client {number}", self._up, workload, self.logs, self.history, self._mishaps, chance, self.trace
        )

    def _up(self) -> list[Process]:
        return [each for each in self._processes if each.instance]

    # Processes.

    async def _keep(self, number: int) -> None:
        """Keep a process running: when it has died, another one takes its place after a while."""
        for life in range(1, 1_000_000):
            process = Process(f"process {number}.{life}", self.loop)
            self._processes.append(process)
            self._all.append(process)
            self._arm(process)
            self.trace.tell(process.name, "starts")
            process.run(self._serve(process))
            await process.ended
            self._processes.remove(process)
            await asyncio.sleep(self._chance.between(0, _RESTART_SECONDS))

    async def _serve(self, process: Process) -> None:
        """Be a process: open everything, and run until it is asked to end, or dies."""
        clock = SimulatedClock(self.loop, Chance(self.seed, process.name))
        tell = partial(self.trace.tell, process.name)
        wire = Wire(self._mishaps, lambda: process.is_dead, tell)
        settings = {
            name: Settings(
                log=SimulatedLogStore(self.logs[name], wire, self._mishaps, tell),
                views=SimulatedViewStore(self.views[name], clock, wire, tell),
                limits=self.plan.limits,
            )
            for name in self.logs
        }
        try:
            async with System(*self.services).run(settings, clock=clock) as process.instance:
                await process.stopping
        except LogUnavailable as error:
            tell(f"cannot start: {error}")
        except Exception as error:
            # What is left of a dead process is freed in the end, and may say what it likes.
            if not process.is_dead:
                self.broken.append(f"{process.name} ended with {error!r}")
        process.kill()

    def _arm(self, process: Process) -> None:
        """Decide at which of its turns something happens to a process."""
        faults = self._mishaps.faults
        process.strike = lambda: self._strike(process)
        process.turns_left = self._chance.turns_until(faults.death + faults.pause)

    def _strike(self, process: Process) -> None:
        faults = self._mishaps.faults
        if self._chance.happens(faults.death / (faults.death + faults.pause)):
            self.trace.tell(process.name, "dies")
            process.kill()
            return
        self.trace.tell(process.name, "stands still")
        process.pause()
        self._arm(process)
        self.loop.call_later(self._chance.between(0, faults.pause_seconds), self._resume, process)

    def _resume(self, process: Process) -> None:
        if process.status == "paused":
            self.trace.tell(process.name, "goes on")
            process.resume()

    # The end.

    async def _catch_up(self) -> None:
        """Wait until all followers are where their logs end; nothing goes wrong any more, so that has a bound."""
        deadline = self.loop.time() + _CATCHING_UP_SECONDS
        while self.loop.time() < deadline:
            self.behind = [each for service in self.services for each in self._behind(service)]
            if not self.behind and len(self._up()) == self.plan.processes:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def _behind(self, service: Service) -> list[str]:
        store, head = self.view_store(service.name), self.logs[service.name].head
        names = [*service.declaration.followers]
        progress = at_once(checkpoints.progress(store))
        positions = {
            name: min([each.position for each in progress if each.follower == name], default=0) for name in names
        }
        return [
            f"{service.name}: {name} is at {position} of {head}"
            for name, position in positions.items()
            if position < head
        ]
