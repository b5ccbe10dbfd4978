"""An operator of a simulated system: restarts, rebuilds, splits and merges while it runs, and does worse things by mistake."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from twofold.errors import NotFound, NotNow
from twofold.followers import parking
from twofold.operations import segments
from twofold.operations.databases import Databases
from twofold.service import Running
from twofold.simulation.callers import UNKNOWN
from twofold.simulation.chance import Chance
from twofold.simulation.clock import SimulatedClock
from twofold.simulation.faults import Mishaps
from twofold.simulation.hosting import Hosts
from twofold.simulation.process import Process
from twofold.simulation.trace import Trace

_LOOK_SECONDS = 0.25
_MOST_PARTS = 3
_MANY_SEGMENTS = 3
_JUMP_BACK = 0.5


class Operator:
    """Looks after a system four times a second. ``clocks`` are those of databases, which can be wrong like any other."""

    def __init__(
        self,
        hosts: Hosts,
        clocks: Sequence[SimulatedClock],
        mishaps: Mishaps,
        chance: Chance,
        trace: Trace,
    ) -> None:
        self._hosts = hosts
        self._clocks = clocks
        self._mishaps = mishaps
        self._chance = chance
        self._trace = trace
        self._does: dict[str, Callable[[], Awaitable[None]]] = {
            "restart": self._restart,
            "partition": self._cut_off,
            "full_disk": self._fill_disk,
            "clock_jump": self._set_clock,
            "division": self._divide,
            "rebuild": self._rebuild,
            "retry": self._retry,
        }

    async def run(self) -> None:
        """Look again and again; what takes long goes on meanwhile."""
        under_way: list[asyncio.Task[None]] = []
        try:
            while True:
                await asyncio.sleep(_LOOK_SECONDS)
                under_way += [
                    asyncio.ensure_future(self._do(fault)) for fault in self._does if self._mishaps.happens(fault)
                ]
        finally:
            for each in under_way:
                each.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _do(self, fault: str) -> None:
        try:
            await self._does[fault]()
        except (NotFound, NotNow, *UNKNOWN) as error:
            self._trace.tell("operator", f"is told {error!r}")

    def _some(self, processes: Sequence[Process]) -> Process:
        if not processes:
            raise NotNow("No process is there for it.")
        return self._chance.pick(processes)

    async def _restart(self) -> None:
        process = self._some(self._hosts.up())
        process.tell("is asked to end")
        process.stop()

    async def _cut_off(self) -> None:
        process = self._some(self._hosts.up())
        process.tell("reaches nothing any more")
        process.is_cut_off = True
        await asyncio.sleep(self._mishaps.while_seconds())
        process.is_cut_off = False

    async def _fill_disk(self) -> None:
        self._trace.tell("operator", "lets the disks become full")
        self._mishaps.is_full = True
        await asyncio.sleep(self._mishaps.while_seconds())
        self._mishaps.is_full = False

    async def _set_clock(self) -> None:
        most = self._mishaps.faults.jump_seconds
        seconds = self._chance.between(-most * _JUMP_BACK, most) * self._chance.random() ** 3
        clocks = [*self._clocks, *[each.clock for each in self._hosts.up()]]
        self._chance.pick(clocks).jump(seconds)
        self._trace.tell("operator", f"sets a clock by {seconds:.3f} s")

    async def _divide(self) -> None:
        process, running, follower = self._some_follower()
        databases = Databases(running.declaration, running.log, running.views, running.clock, running.limits)
        segments_now = await process.call(partial(segments.segments_of, databases, follower))
        if segments_now > _MANY_SEGMENTS or self._chance.happens(0.5):
            self._trace.tell("operator", f"merges {follower}")
            await process.call(partial(segments.merge, databases, follower))
        else:
            self._trace.tell("operator", f"splits {follower}")
            parts = 2 + self._chance.below(_MOST_PARTS - 1)
            await process.call(partial(segments.split, databases, follower, parts))

    async def _rebuild(self) -> None:
        process, running, follower = self._some_follower()
        self._trace.tell("operator", f"rebuilds {follower}")
        await process.call(partial(running.rebuild, follower))
        self._trace.tell("operator", f"has rebuilt {follower}")

    async def _retry(self) -> None:
        process, running, follower = self._some_follower()
        parked = await process.call(partial(parking.parked, running.views, follower))
        keys = [*dict.fromkeys([each.key for each in parked])]
        if keys:
            self._trace.tell("operator", f"has {', '.join(keys)} of {follower} tried again")
            await process.call(partial(parking.request_retry, running.views, follower, keys))

    def _some_follower(self) -> tuple[Process, Running, str]:
        """Return a process, a service that runs in it, and what fills a view of it."""
        process = self._some(self._hosts.up("followers"))
        filled = [each for each in process.release.services.values() if each.declaration.followers]
        if not filled or process.instance is None:
            raise NotNow("There is no view.")
        service = self._chance.pick(filled)
        return process, process.instance[service.name], self._chance.pick([*service.declaration.followers])
