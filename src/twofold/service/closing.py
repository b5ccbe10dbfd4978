"""Closing: what is under way is waited for, and whatever has to be let go of is, in one time for all of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from twofold.clock import Clock

_LEAST_SECONDS = 0.1

_logger = logging.getLogger("twofold.service")


class Closing:
    """One bound for all that is closed: it begins with the first, and what comes last has at least a moment.

    A database that does not answer holds up whoever embeds a service for so long, and not for so long a connection.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._deadline: float | None = None

    async def close(self, what: str, close: Callable[[], Awaitable[None]]) -> None:
        """Close something, or go on without when time is up; what it still holds ends with the process."""
        now = self._clock.monotonic()
        if self._deadline is None:
            self._deadline = now + self._seconds
        try:
            async with asyncio.timeout(max(_LEAST_SECONDS, self._deadline - now)):
                await close()
        except TimeoutError:
            _logger.warning(
                "%s did not close within %g seconds, and is left to end with the process.", what, self._seconds
            )


class InFlight:
    """What is under way, each in a ``with`` block of its own, so that closing can wait for it, for some seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._count = 0
        self._idle = asyncio.Event()

    def __enter__(self) -> None:
        self._count += 1

    def __exit__(self, *_: object) -> None:
        self._count -= 1
        if not self._count:
            self._idle.set()

    async def finished(self) -> None:
        """Return once nothing is under way, or after so many seconds."""
        if self._count:
            self._idle.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._idle.wait()
