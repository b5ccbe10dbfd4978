"""A simulated world: processes of a system on their disks, clients, and what goes wrong; then calm, until all is caught up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from itertools import pairwise
from typing import Any

from twofold.service import Service
from twofold.simulation.callers import Caller
from twofold.simulation.catching_up import behind, due_later
from twofold.simulation.chance import Chance
from twofold.simulation.clock import Calendar, SimulatedClock
from twofold.simulation.deploying import Deployment
from twofold.simulation.disks import LogDisk, ViewDisk
from twofold.simulation.faults import Mishaps
from twofold.simulation.history import History
from twofold.simulation.hosting import Hosts
from twofold.simulation.loop import SimulatedLoop
from twofold.simulation.operators import Operator
from twofold.simulation.plan import Plan
from twofold.simulation.probing import calls
from twofold.simulation.releases import Release
from twofold.simulation.stand_ins import Outside, StandIn
from twofold.simulation.trace import Trace
from twofold.simulation.view_store import SimulatedViewStore
from twofold.simulation.viewing import view_violations
from twofold.simulation.violations import Violation
from twofold.simulation.workload import Usage, Workload
from twofold.views import table_name

_LOOK_SECONDS = 0.1
_AUDIT_SECONDS = 2.0
_CATCHING_UP_SECONDS = 120.0
_NIGHTS = 8


class World:
    """One run of some services by a seed. What is left of it afterwards is the evidence; its services are the newest."""

    def __init__(
        self, releases: Sequence[Release], seed: int, plan: Plan, usage: Usage, stand_ins: Sequence[StandIn] = ()
    ) -> None:
        self.releases = releases
        """What is there in the beginning, and, if there is more than one, what is deployed then."""
        self.services = services = [*releases[-1].services.values()]
        self.plan = plan
        self._usage = usage
        self.loop = SimulatedLoop(Chance(seed, "turns"))  # type: ignore[abstract]  # What it lacks, it says.
        self.trace = Trace(self.loop.time)
        self.history = History()
        self.logs = {each.name: LogDisk(usage.start.get(each.name, ())) for each in services}
        self._calendar = calendar = Calendar()
        clocks = {
            each.name: SimulatedClock(self.loop, Chance(seed, f"views of {each.name}"), calendar) for each in services
        }
        self.views = {name: ViewDisk(clock) for name, clock in clocks.items()}
        self.behind: list[str] = []
        """What had not caught up in the end."""
        self.found: list[Violation] = []
        """What was found wrong on the way."""
        self._seed = seed
        self.mishaps = Mishaps(Chance(seed, "mishaps"), plan.faults)
        outside = Outside(stand_ins, seed)
        self.hosts = Hosts(self.logs, self.views, outside, plan, seed, self.loop, calendar, self.mishaps, self.trace)
        self._operator = Operator(self.hosts, [*clocks.values()], self.mishaps, Chance(seed, "operator"), self.trace)
        self._deployment = Deployment(
            self.hosts, plan, self.history, self.mishaps, Chance(seed, "deployment"), self.trace, self._begin
        )
        self._outside: list[asyncio.Task[None]] = []

    def run(self) -> None:
        """Live through it.

        Raises:
            Standstill: what clients wait for does not come, nor the end of their patience.
        """
        self.loop.run(self._live())

    def view_store(self, service: str) -> SimulatedViewStore:
        """Return a store on a service's views in which nothing takes time: for looking at them from outside."""
        return SimulatedViewStore(self.views[service])

    async def _live(self) -> None:
        calls.set(self.history.calls)
        for name, disk in self.logs.items():
            if disk.start:
                self.trace.tell("world", f"begins with a log of {name} that ends at {disk.head}")
        self._deployment.start(self.releases[0])
        deploying = [self._begin(self._deployment.run(*each)) for each in pairwise(self.releases)]
        operating, auditing = self._begin(self._operator.run()), self._begin(self._audit())
        await asyncio.gather(*[self._begin(each) for each in self._requested()])
        self.trace.tell("world", "from now on nothing goes wrong")
        operating.cancel()
        auditing.cancel()
        self.mishaps.calm()
        self.hosts.calm()
        self._deployment.hurry()
        await asyncio.gather(*deploying)
        await self._come_to_rest()
        for task in self._outside:
            if task.done() and not task.cancelled():
                # What has failed here has failed in the simulation itself, and judges nothing.
                task.result()

    async def _audit(self) -> None:
        """Judge the views now and then as they are, wherever their followers stand."""
        chance = Chance(self._seed, "audit")
        while not self.found:
            await asyncio.sleep(chance.between(0, _AUDIT_SECONDS))
            for service in self.services:
                self.found += self.view_violations(service)

    def view_violations(self, service: Service) -> list[Violation]:
        """Judge the views of a service as they are at this moment, each by the newest code that has begun to fill it."""
        if self.views[service.name].is_empty:
            return []
        begun = [each for each in self.releases if self.hosts.has_had(each)] or self.releases
        views = {table_name(view): view for each in begun for view in each.services[service.name].declaration.folded}
        store, events = self.view_store(service.name), self.logs[service.name].events()
        may_park = self.plan.faults.refused_row > 0
        now = begun[-1].services[service.name].declaration
        return [*view_violations(now, [*views.values()], events, store, may_park=may_park)]

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin something that belongs to no process."""
        task = asyncio.ensure_future(work)
        self._outside.append(task)
        return task

    def _requested(self) -> Iterator[Coroutine[Any, Any, None]]:
        """Yield what each client does: what there is to send is dealt out among them."""
        workload = Workload(self.releases, self._seed, self.plan, self._usage)
        requests = workload.requests()
        for number in range(self.plan.clients):
            caller = Caller(
                f"client {number}", self.hosts.up, workload, self.logs, self.history, self.mishaps, self.trace
            )
            yield caller.run(requests[number :: self.plan.clients], self.plan)

    # The end.

    async def _come_to_rest(self) -> None:
        """Let all be caught up; then let it become late enough for some of what is due later, and again."""
        await self._catch_up()
        nights = Chance(self._seed, "nights")
        for _ in range(_NIGHTS):
            now_us = self._now_us()
            later = [
                each
                for service in self.services
                for each in due_later(service, self.logs[service.name], self.view_store(service.name), now_us)
            ]
            if self.behind or not later:
                return
            self._calendar.skipped_us += nights.pick(later) - now_us
            self.trace.tell("world", "does nothing until something is due")
            await self._catch_up()

    async def _catch_up(self) -> None:
        """Wait until nothing is left to be done now; nothing goes wrong any more, so that has a bound."""
        deadline = self.loop.time() + _CATCHING_UP_SECONDS
        while self.loop.time() < deadline:
            self.behind = [each for service in self.services for each in self._behind(service)]
            if (up := len(self.hosts.up())) < len(self.plan.processes):
                self.behind += [f"{up} of {len(self.plan.processes)} processes have started"]
            await asyncio.sleep(_LOOK_SECONDS)
            # Whoever waits for something that has just ended has had its turn now, before all is judged.
            if not self.behind:
                return

    def _behind(self, service: Service) -> Iterator[str]:
        return behind(service, self.logs, self.view_store(service.name), self.plan, self._now_us())

    def _now_us(self) -> int:
        """Return the time by the clock of a process that is the slowest."""
        return min([each.clock.now_us() for each in self.hosts.up()], default=0)

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
        for process in self.hosts.all:
            await process.bury()
