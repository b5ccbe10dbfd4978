"""Deploying while a simulated system runs: each process that has the new code starts beside one that has the old code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, TypeAlias

from twofold.simulation.chance import Chance
from twofold.simulation.disks import Bell
from twofold.simulation.faults import Mishaps
from twofold.simulation.history import History
from twofold.simulation.hosting import Hosts, Post
from twofold.simulation.plan import Plan
from twofold.simulation.releases import Release
from twofold.simulation.trace import Trace

Begin: TypeAlias = Callable[[Coroutine[Any, Any, None]], object]
"""Begins something that goes on until the world ends."""

_STARTING_SECONDS = 60.0
_LOOK_SECONDS = 0.5


class Deployment:
    """Puts a release in the place of another one, process by process, each when so many commands have been sent.

    It keeps to what users are told: an old process is asked to end when a new one is ready in its place, and one that follows
    ends when no process of its release is left that only answers.
    """

    def __init__(
        self, hosts: Hosts, plan: Plan, history: History, mishaps: Mishaps, chance: Chance, trace: Trace, begin: Begin
    ) -> None:
        self._hosts = hosts
        self._plan = plan
        self._history = history
        self._chance = chance
        self._mishaps = mishaps
        self._trace = trace
        self._begin = begin
        self._is_urgent = False
        self._news = Bell()
        history.has_sent = self._news.ring

    def start(self, release: Release) -> None:
        """Start with all processes of one release."""
        for place in range(len(self._plan.processes)):
            self._post(place, release)

    async def run(self, old: Release, new: Release) -> None:
        """Deploy a release, once by itself, or also after it was taken back from as many places as it had come to."""
        steps = [*self._steps(old, new)]
        sent = sorted([self._chance.below(self._plan.commands) for _ in steps])
        last = old
        for (place, release), number in zip(steps, sent, strict=True):
            await self._until_sent(number)
            if release is not last:
                self._announce(release, is_back=release is old)
            last = release
            if not await self._replace(place, release):
                self._trace.tell("operator", "gives up, as it does not start")
                return

    def hurry(self) -> None:
        """Wait for no more commands before each step."""
        self._is_urgent = True
        self._news.ring()

    def _steps(self, old: Release, new: Release) -> Iterator[tuple[int, Release]]:
        """Yield which place gets which release, in order: followers begin with it."""
        places = sorted(range(len(self._plan.processes)), key=lambda place: not self._follows(place))
        if self._plan.rolls_back:
            come = places[: 1 + self._chance.below(len(places))]
            yield from [(place, new) for place in come]
            yield from [(place, old) for place in come]
        yield from [(place, new) for place in places]

    def _announce(self, release: Release, *, is_back: bool) -> None:
        self._trace.tell("operator", f"deploys the {release.name} code{' again' if is_back else ''}")
        if is_back:
            self._mishaps.count("rollback")

    async def _until_sent(self, number: int) -> None:
        while len(self._history.sent) < number and not self._is_urgent:
            await self._news.wait(_LOOK_SECONDS)

    async def _replace(self, place: int, release: Release) -> bool:
        """Have a release in a place, and ask those to end that are not needed any more; say whether it has started."""
        post = next((each for each in self._posts() if (each.place, each.release) == (place, release)), None)
        post = post or self._post(place, release)
        try:
            async with asyncio.timeout(_STARTING_SECONDS):
                await post.has_started.wait()
        except TimeoutError:
            return False
        replaced = {each.place for each in self._posts() if each.release is release}
        for each in self._posts():
            if each.release is not release and each.place in replaced and self._may_end(each):
                await each.give_up()
        return True

    def _may_end(self, post: Post) -> bool:
        left = [each for each in self._posts() if each.release is post.release and each is not post]
        return not self._follows(post.place) or all(self._follows(each.place) for each in left)

    def _follows(self, place: int) -> bool:
        return "followers" in self._plan.processes[place]

    def _posts(self) -> Sequence[Post]:
        return [each for each in self._hosts.posts if not each.is_given_up]

    def _post(self, place: int, release: Release) -> Post:
        post = self._hosts.post(place, release)
        self._begin(self._hosts.keep(post))
        return post
