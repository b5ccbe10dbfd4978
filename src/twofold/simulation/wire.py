"""The way from a process to a database and back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

from twofold.errors import LogUnavailable
from twofold.simulation.faults import Mishaps

T = TypeVar("T")

_OUTSIDE = Context()
"""A database belongs to no process: what has been sent to it arrives, though the process that sent it may be dead by then."""


class Wire:
    """What is asked for arrives after a while and is done in one step, and then the answer is on its way.

    ``is_cut`` says whether the process at this end is dead; ``tell`` hears of what goes wrong.
    """

    def __init__(
        self,
        mishaps: Mishaps,
        is_cut: Callable[[], bool] = lambda: False,
        tell: Callable[[str], None] = lambda what: None,
    ) -> None:
        self._mishaps = mishaps
        self._is_cut = is_cut
        self._tell = tell

    async def read(self, work: Callable[[], T]) -> T:
        """Have something looked up.

        Raises:
            LogUnavailable: the database is away.
        """
        if self._mishaps.happens("refused_read"):
            await self._fail("a reading fails")
        return await self._sent(work, "")

    async def write(self, work: Callable[[], T], what: str = "a write") -> T:
        """Have something changed.

        Raises:
            LogUnavailable: the database is away, or the answer was lost.
        """
        if self._mishaps.happens("refused_write"):
            await self._fail(f"{what} is refused")
        return await self._sent(work, what)

    async def _fail(self, what: str) -> None:
        self._tell(what)
        await asyncio.sleep(self._mishaps.delay_seconds())
        raise LogUnavailable(f"Simulated: the database is away, {what}, and nothing was stored.")

    async def _sent(self, work: Callable[[], T], what: str) -> T:
        if self._is_cut():
            raise LogUnavailable("Simulated: this process is dead, and nothing that it does reaches a database.")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._after_a_while(loop, self._arrive, loop, work, what, answer)
        return await answer

    def _after_a_while(self, loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *values: Any) -> None:
        delay_seconds = self._mishaps.delay_seconds()
        if delay_seconds:
            loop.call_later(delay_seconds, callback, *values, context=_OUTSIDE)
        else:
            loop.call_soon(callback, *values, context=_OUTSIDE)

    def _arrive(
        self, loop: asyncio.AbstractEventLoop, work: Callable[[], T], what: str, answer: asyncio.Future[T]
    ) -> None:
        if self._is_cut() and (not what or self._mishaps.chance.happens(0.5)):
            return
        result: Any = None
        error: BaseException | None = None
        try:
            result = work()
        except Exception as raised:
            error = raised
        if what and error is None and self._mishaps.happens("unknown_outcome"):
            self._tell(f"{what} is stored, and its answer lost")
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
