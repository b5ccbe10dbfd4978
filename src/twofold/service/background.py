"""What a started service does without being asked: it follows, takes over, and compares its log with the code."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from twofold.clock import Clock
from twofold.compatibility.comparing import tell_unread
from twofold.declaration import Declaration
from twofold.errors import LogUnavailable
from twofold.followers import BatchHandler, Coordinator
from twofold.log import Log
from twofold.processes import CARRIED_OUT, PendingTimer
from twofold.service.roles import Role
from twofold.service.takeover import Takeover
from twofold.views import ViewStore, layout, schema

_COMPARING_SECONDS = 0.5
_AWAY_SECONDS = 0.5

_logger = logging.getLogger("twofold.service")


class Background:
    """The tasks of a service in this process, as its roles call for them."""

    def __init__(
        self, declaration: Declaration, roles: Collection[Role], log: Log, coordinator: Coordinator, takeover: Takeover,
        views: ViewStore, carrying_out: Mapping[str, Callable[[], BatchHandler]], clock: Clock,
    ) -> None:  # fmt: skip
        self._declaration = declaration
        self._roles = frozenset(roles)
        self._log = log
        self._coordinator = coordinator
        self._takeover = takeover
        self._views = views
        self._carrying_out = carrying_out
        self._clock = clock
        self._comparing: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def compare(self) -> None:
        """Start comparing the log with the code. Nobody waits for it, unless the service ends before."""
        if self._roles != {"queries"}:
            self._comparing = self._start(tell_unread(self._declaration, self._log), "compares")

    def follow(self) -> None:
        """Start following what the roles have to follow, as much of it as is not followed elsewhere."""
        if self._roles & {"followers", "processes", "relay"}:
            self._start(self._coordinator.run(), "follows")
        if "followers" in self._roles:
            self._start(self._takeover.run(), "takes over")
        if "processes" in self._roles and not self._declaration.carries_out:
            self._start(self._carry_out(), "waits for commands in its log")

    async def _carry_out(self) -> None:
        """Follow commands and timers in the log as soon as there is one: most services never have any."""
        while not await self._has_begun_to_carry_out():
            await self._clock.sleep(_AWAY_SECONDS)

    async def _has_begun_to_carry_out(self) -> bool:
        """Wait for the first command or timer, and begin to follow them; False if a database is away."""
        with suppress(LogUnavailable):
            async for batch in self._log.follow(CARRIED_OUT):
                if batch.events:
                    await schema.create(self._views, layout(PendingTimer))
                    self._coordinator.add(self._carrying_out)
                    return True
        return False

    def _start(self, work: Coroutine[Any, Any, None], does: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"{self._declaration.name} {does}")
        task.add_done_callback(_tell_failure)
        self._tasks.append(task)
        return task

    async def close(self) -> None:
        """Let comparing come to its end, if that is near, and followers end between two batches."""
        if self._comparing is not None:
            await asyncio.wait([self._comparing], timeout=_COMPARING_SECONDS)
        # All at once: closing has one bound, and one of them that takes long must not leave the others going.
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _tell_failure(task: asyncio.Task[None]) -> None:
    """Nobody waits for what goes on in the background, so nobody else would say that it does not any more."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _logger.error("%s no longer, until it is started again.", task.get_name(), exc_info=error)
