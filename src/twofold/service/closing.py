"""Closing: whatever has to be let go of, in one time for all of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

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
