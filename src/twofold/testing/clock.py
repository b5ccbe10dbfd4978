"""A clock that a test moves: what is due in sixty days comes due at once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from twofold.clock import SystemClock, microseconds, moment

_FIRST = datetime(2026, 1, 1, tzinfo=UTC)


class MovableClock(SystemClock):
    """A clock that stands still until it is moved; whoever sleeps wakes when it is moved as far as that.

    What is looked at again and again goes on meanwhile: a sleep also ends when so much time has really passed. It is for one
    event loop, and is given to a service with ``run(clock=…)``.

    >>> clock = MovableClock(datetime(2026, 3, 1, tzinfo=UTC))
    >>> clock.move(days=60)
    >>> clock.now.isoformat()
    '2026-04-30T00:00:00+00:00'
    """

    def __init__(self, now: datetime = _FIRST) -> None:
        super().__init__()
        self._now_us = microseconds(now)
        self._slept = 0.0
        self._moved = asyncio.Event()

    @property
    def now(self) -> datetime:
        """The time that it shows."""
        return moment(self._now_us)

    def now_us(self) -> int:
        return self._now_us

    def monotonic(self) -> float:
        return super().monotonic() + self._slept

    def move(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Set it forwards, and wake those whose time has come; or back, by negative numbers: then everybody sleeps on."""
        by = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        self._now_us += by // timedelta(microseconds=1)
        self._slept += max(0.0, by.total_seconds())
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def sleep(self, seconds: float) -> None:
        until = self._slept + seconds
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._slept < until:
                    await self._moved.wait()
