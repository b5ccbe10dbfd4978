"""A simulated process: an instance of a service or a system with a memory of its own, which can be lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextvars import Context, copy_context
from typing import Any, Literal, TypeAlias, TypeVar

from twofold.service import Running
from twofold.simulation.clock import SimulatedClock
from twofold.simulation.loop import SimulatedLoop, Turn, taker
from twofold.simulation.releases import Release
from twofold.simulation.trace import Trace

T = TypeVar("T")
Status: TypeAlias = Literal["up", "paused", "dead", "buried"]

_ENDING_SECONDS = 60.0


class ProcessDied(Exception):
    """The process that was to answer is not there any more."""


class Process:
    """Tasks that share a memory. Once it is dead, none of them gets another turn: nothing is cancelled, nothing finished.

    ``strike`` is called when a turn is taken and ``turns_left`` have been, and decides what happens to the process then.
    """

    def __init__(self, name: str, loop: SimulatedLoop, clock: SimulatedClock, trace: Trace) -> None:
        self.name = name
        self.clock = clock
        self.status: Status = "up"
        self.is_cut_off = False
        """Whether it reaches no database."""
        self.turns_left = 0
        self.strike: Callable[[], None] = lambda: None
        self.instance: Mapping[str, Running] | None = None
        """The services that run in it, once it has started, and until it ends."""
        self.roles: frozenset[str] = frozenset()
        self.release: Release
        """The code that it runs."""
        self.stopping: asyncio.Future[None] = loop.create_future()
        """Has a result once it is asked to end."""
        self.ended: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._trace = trace
        self._context = copy_context()
        self._context.run(taker.set, self)
        self._tasks: list[asyncio.Task[Any]] = []
        self._held: list[Turn] = []
        self._callers: dict[asyncio.Future[Any], None] = {}

    # What the loop asks.

    def takes(self, turn: Turn) -> bool:
        """Say whether a turn is to be done now. Those of a dead process are held until it is buried."""
        if self.turns_left and self.status == "up":
            self.turns_left -= 1
            if not self.turns_left:
                self.strike()
        if self.status in ("paused", "dead"):
            self._held.append(turn)
            return False
        return True

    def begins(self, task: asyncio.Task[Any]) -> None:
        """Take note of a task: it is kept as it is until the whole run has ended."""
        self._tasks.append(task)

    # What happens to it.

    def tell(self, what: str) -> None:
        """Take note of something that happens to it, or that it does."""
        self._trace.tell(self.name, what)

    @property
    def is_dead(self) -> bool:
        """Whether nothing of it goes on."""
        return self.status in ("dead", "buried")

    def stop(self) -> None:
        """Ask it to end, with all that it has to finish."""
        self.instance = None
        if not self.stopping.done():
            self.stopping.set_result(None)

    def kill(self) -> None:
        """Let it die now; who waits for an answer learns that there will be none."""
        self.status = "dead"
        self.instance = None
        if not self.ended.done():
            self.ended.set_result(None)
        for caller in self._callers:
            if not caller.done():
                caller.set_exception(ProcessDied(f"{self.name} died before it answered."))

    def pause(self) -> None:
        """Let it stand still."""
        if self.status == "up":
            self.status = "paused"

    def resume(self) -> None:
        """Let it go on, if it stands still."""
        if self.status == "paused":
            self.status = "up"
            self._loop.resume(self._held)
            self._held = []

    def run(self, work: Coroutine[Any, Any, T], context: Context | None = None) -> asyncio.Task[T]:
        """Begin a task of the process."""
        return self._loop.create_task(work, context=context or self.new_context())

    def new_context(self) -> Context:
        """Return a context in which what is called is of this process."""
        return self._context.copy()

    async def call(self, work: Callable[[], Awaitable[T]], context: Context | None = None) -> T:
        """Have something done in the process, as by a request that comes in; who goes away cancels it.

        Raises:
            ProcessDied: it is dead, or dies before it has answered.
        """
        if self.is_dead:
            raise ProcessDied(f"{self.name} is dead.")
        caller: asyncio.Future[T] = self._loop.create_future()
        self._callers[caller] = None
        task = self.run(_answer(work, caller), context)
        try:
            return await caller
        except asyncio.CancelledError:
            # The connection is gone; the process learns of it when it gets a turn.
            if not self.is_dead:
                task.cancel()
            raise
        finally:
            self._callers.pop(caller, None)

    def unseen_failures(self) -> Iterator[str]:
        """Yield what has failed in a task of the process without anybody's having looked at it."""
        for task in self._tasks:
            if task.done() and task._log_traceback and (error := task.exception()):
                name = getattr(task.get_coro(), "__qualname__", task.get_name())
                yield f"{self.name}: {name} failed with {error!r}"

    async def finish(self) -> None:
        """Cancel what is left and wait for it, as `asyncio.run` does at the end of the main function, which calls this."""
        left = [task for task in self._tasks if not task.done() and task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_ENDING_SECONDS)

    async def bury(self) -> None:
        """Cancel what is left of a process, and wait until it has ended; nothing of it reaches a disk any more."""
        self.kill()
        self.status = "buried"
        self._loop.resume(self._held)
        while left := [task for task in self._tasks if not task.done()]:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=_ENDING_SECONDS)


async def _answer(work: Callable[[], Awaitable[T]], caller: asyncio.Future[T]) -> None:
    try:
        result = await work()
    except Exception as error:
        if not caller.done():
            caller.set_exception(error)
    else:
        if not caller.done():
            caller.set_result(result)
