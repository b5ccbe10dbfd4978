"""The way from a process to a database and back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Protocol, TypeVar

from twofold.errors import LogUnavailable
from twofold.simulation.faults import Mishaps

T = TypeVar("T")

_OUTSIDE = Context()
"""A database belongs to no process: what has been sent to it arrives, though the process that sent it may be dead by then."""


class End(Protocol):
    """Who is at this end of a way: a process, as far as its ways have to know it."""

    @property
    def is_dead(self) -> bool:
        """Whether nothing more comes from it."""
        ...

    @property
    def is_cut_off(self) -> bool:
        """Whether it reaches nothing."""
        ...

    def tell(self, what: str) -> None:
        """Take note of something that goes wrong."""
        ...


class NoProcess:
    """Somebody who does not die."""

    is_dead = is_cut_off = False

    def tell(self, what: str) -> None:
        """Take note of nothing."""


NOBODY = NoProcess()


class Wire:
    """What is asked for arrives after a while and is done in one step, and then the answer is on its way."""

    def __init__(self, mishaps: Mishaps, process: End = NOBODY) -> None:
        self.mishaps = mishaps
        self.process = process

    async def read(self, work: Callable[[], T]) -> T:
        """Have something looked up.

        Raises:
            LogUnavailable: the database is away.
        """
        if self.process.is_cut_off or self.mishaps.happens("refused_read"):
            await self._fail("a reading fails")
        return await self._sent(work, "")

    async def write(self, work: Callable[[], T], what: str = "a write") -> T:
        """Have something changed.

        Raises:
            LogUnavailable: the database is away, or the answer was lost.
        """
        if self.process.is_cut_off or self.mishaps.is_full or self.mishaps.happens("refused_write"):
            await self._fail(f"{what} is refused")
        return await self._sent(work, what)

    async def _fail(self, what: str) -> None:
        self.process.tell(what)
        await asyncio.sleep(self.mishaps.delay_seconds())
        raise LogUnavailable(f"Simulated: the database is away, {what}, and nothing was stored.")

    async def _sent(self, work: Callable[[], T], what: str) -> T:
        if self.process.is_dead:
            raise LogUnavailable("Simulated: this process is dead, and nothing that it does reaches a database.")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._after_a_while(loop, self._arrive, loop, work, what, answer)
        return await answer

    def _after_a_while(self, loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *values: Any) -> None:
        delay_seconds = self.mishaps.delay_seconds()
        if delay_seconds:
            loop.call_later(delay_seconds, callback, *values, context=_OUTSIDE)
        else:
            loop.call_soon(callback, *values, context=_OUTSIDE)

    def _arrive(
        self, loop: asyncio.AbstractEventLoop, work: Callable[[], T], what: str, answer: asyncio.Future[T]
    ) -> None:
        if self.process.is_dead and (not what or self.mishaps.chance.happens(0.5)):
            return
        result: Any = None
        error: BaseException | None = None
        try:
            result = work()
        except Exception as raised:
            error = raised
        if what and error is None and self.mishaps.happens("unknown_outcome"):
            self.process.tell(f"{what} is stored, and its answer lost")
            error = LogUnavailable(f"Simulated: the answer to {what} was lost, so whether it was stored is not known.")
        self._after_a_while(loop, _answer, answer, result, error)


def _answer(answer: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end that waits for nothing but its turn, and return its result.

    >>> async def seven():
    ...     await asyncio.sleep(0)
    ...     return 7
    >>> at_once(seven())
    7
    """
    while True:
        try:
            coroutine.send(None)
        except StopIteration as end:
            result: T = end.value
            return result
