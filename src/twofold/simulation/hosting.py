"""Hosting simulated processes: each is started, has its accidents, and is followed by another one in its place."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from twofold.errors import LogUnavailable
from twofold.service import Settings
from twofold.service.roles import Role
from twofold.simulation.chance import Chance
from twofold.simulation.clock import Calendar, SimulatedClock
from twofold.simulation.disks import BrokerDisk, LogDisk, ViewDisk
from twofold.simulation.faults import Mishaps
from twofold.simulation.log_store import SimulatedLogStore
from twofold.simulation.loop import SimulatedLoop
from twofold.simulation.plan import Plan
from twofold.simulation.process import Process
from twofold.simulation.releases import Release
from twofold.simulation.stand_ins import Outside
from twofold.simulation.trace import Trace
from twofold.simulation.transport import simulated_transport
from twofold.simulation.view_store import SimulatedViewStore
from twofold.simulation.wire import Wire

_RESTART_SECONDS = 1.0
_MOST_DRIFT = 0.1


class Post:
    """A place for processes of a release, one after the other, until it is given up."""

    def __init__(self, place: int, release: Release, roles: tuple[Role, ...]) -> None:
        self.place = place
        self.release = release
        self.roles = roles
        self.process: Process | None = None
        """The one that is there, or was the last."""
        self.has_started = asyncio.Event()
        """Is set once the first of them is ready."""
        self.is_given_up = False

    async def give_up(self) -> None:
        """Ask the process to end, and return when it has; no other comes in its place."""
        self.is_given_up = True
        if self.process is not None:
            self.process.stop()
            await asyncio.wait([self.process.ended])


class Hosts:
    """As many places for processes as a plan has, each with its roles; while something is deployed, two posts are in one."""

    def __init__(
        self,
        logs: Mapping[str, LogDisk],
        views: Mapping[str, ViewDisk],
        outside: Outside,
        plan: Plan,
        seed: int,
        loop: SimulatedLoop,
        calendar: Calendar,
        mishaps: Mishaps,
        trace: Trace,
    ) -> None:
        self._logs = logs
        self._views = views
        self._outside = outside
        self._broker = BrokerDisk()
        self._plan = plan
        self._seed = seed
        self._loop = loop
        self._calendar = calendar
        self._mishaps = mishaps
        self._trace = trace
        self._chance = Chance(seed, "hosts")
        self._lives: Counter[int] = Counter()
        self.posts: list[Post] = []
        """Where processes are kept running, or were."""
        self.all: list[Process] = []
        """Every process that there ever was."""
        self.broken: list[str] = []
        """Which processes have ended for another reason than a database that is away, and for which."""
        self.unable: list[str] = []
        """Which have not even started, and for which."""
        self._unseen: list[str] = []

    def up(self, role: Role | None = None) -> list[Process]:
        """Return the processes that have started and are not asked to end: those with a role, or all."""
        return [each for each in self.all if each.instance is not None and (role is None or role in each.roles)]

    def has_had(self, release: Release) -> bool:
        """Say whether any process was started with a release."""
        return any(each.release is release for each in self.all)

    def post(self, place: int, release: Release) -> Post:
        """Return a new post."""
        made = Post(place, release, self._plan.processes[place])
        self.posts.append(made)
        return made

    async def keep(self, post: Post) -> None:
        """Keep a process running at a post: when it has ended, another one takes its place after a while."""
        while not post.is_given_up:
            self._lives[post.place] += 1
            name = f"process {post.place}.{self._lives[post.place]}"
            chance = Chance(self._seed, name)
            drift = 1 + chance.between(-_MOST_DRIFT, _MOST_DRIFT) if self._mishaps.faults.clock_jump else 1.0
            clock = SimulatedClock(self._loop, chance, self._calendar, rate=drift)
            post.process = process = Process(name, self._loop, clock, self._trace)
            process.roles, process.release = frozenset(post.roles), post.release
            self.all.append(process)
            self._arm(process)
            code = f" with the {post.release.name} code" if post.release.name else ""
            process.tell(f"starts{code}, for {', '.join(post.roles)}")
            process.run(self._serve(process, post))
            await process.ended
            await asyncio.sleep(self._chance.between(0, _RESTART_SECONDS))

    async def _serve(self, process: Process, post: Post) -> None:
        """Be a process: open everything, and run until it is asked to end, or dies."""
        resources = self._outside.resources(post.release.services)
        running = post.release.system.run(
            self._settings(process), clock=process.clock, roles=post.roles, resources=resources
        )
        try:
            async with running as instance:
                process.instance = instance
                post.has_started.set()
                await process.stopping
        except LogUnavailable as error:
            process.tell(f"ends: {error}")
        except Exception as error:
            # What is left of a dead process is freed in the end, and may say what it likes.
            if not process.is_dead:
                (self.broken if process.instance or process.stopping.done() else self.unable).append(
                    f"{process.name} ended with {error!r}"
                )
        if not process.is_dead:
            await process.finish()
            self._unseen += process.unseen_failures()
        process.kill()

    def unseen_failures(self) -> list[str]:
        """Return what has failed in processes that have ended in an orderly way, or are there, and nobody has looked at."""
        return [*self._unseen, *[each for process in self.up() for each in process.unseen_failures()]]

    def _settings(self, process: Process) -> dict[str, Settings]:
        wire = Wire(self._mishaps, process)
        broker = simulated_transport(self._broker, wire, process.clock) if self._plan.has_broker else ""
        return {
            name: Settings(
                log=SimulatedLogStore(disk, wire),
                views=SimulatedViewStore(self._views[name], wire),
                transport=broker,
                limits=self._plan.limits,
            )
            for name, disk in self._logs.items()
        }

    # Accidents.

    def _arm(self, process: Process) -> None:
        """Decide at which of its turns something happens to a process."""
        faults = self._mishaps.faults
        process.strike = lambda: self._strike(process)
        # The more services there are in a process, the more turns it takes until it is there at all.
        process.turns_left = self._chance.turns_until(faults.death + faults.pause) * len(process.release.services)

    def _strike(self, process: Process) -> None:
        faults = self._mishaps.faults
        if self._chance.happens(faults.death / (faults.death + faults.pause)):
            self._mishaps.count("death")
            process.tell("dies")
            process.kill()
            return
        self._mishaps.count("pause")
        process.tell("stands still")
        process.pause()
        self._arm(process)
        self._loop.call_later(self._mishaps.while_seconds(), self._resume, process)

    def _resume(self, process: Process) -> None:
        if process.status == "paused":
            process.tell("goes on")
            process.resume()

    def calm(self) -> None:
        """Let no process have an accident any more, and let those go on that stand still."""
        for process in self.all:
            process.turns_left = 0
            process.is_cut_off = False
            self._resume(process)
