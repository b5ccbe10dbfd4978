"""The only source of time, randomness and new ids.

Nothing else in Twofold asks the operating system for any of the three, so that a test or a simulation which puts its own
clock in place decides all of them.
"""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

LAST_DAY_US = 253_402_214_400_000_000
"""The last day that has a date, 9999-12-31: no clock is there yet, so that what it says has room for a lease behind it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Time, randomness and ids, as a service sees them."""

    def now_us(self) -> int:
        """Return the time since 1970-01-01T00:00Z in microseconds, from 0 to before `LAST_DAY_US`."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, for measuring how long something took."""
        ...

    def random(self) -> float:
        """Return a number in [0, 1), for jitter."""
        ...

    def new_id(self) -> str:
        """Return a new UUIDv7, greater than every earlier one of this clock."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        ...


class SystemClock:
    """The operating system's time and randomness.

    >>> clock = SystemClock()
    >>> clock.new_id() < clock.new_id()
    True
    """

    def __init__(self) -> None:
        self._random = random.SystemRandom()
        self._stamp = self._milliseconds = 0
        self._begin = ""
        self._tail = f"{0x8000 | self._random.getrandbits(14):04x}-{self._random.getrandbits(48):012x}"

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()

    def random(self) -> float:
        return self._random.random()

    def new_id(self) -> str:
        """Return a UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, 12 of their fraction, 62 random bits.

        The fraction is moved on by one where two ids would be equal (method 3 of section 6.2), so ids of one process sort
        in the order of their making; the random bits are drawn once per process, and tell it from others.
        """
        stamp = time.time_ns() * 4096 // 1_000_000
        self._stamp = stamp = stamp if stamp > self._stamp else self._stamp + 1
        milliseconds = stamp >> 12
        if milliseconds != self._milliseconds:
            self._milliseconds = milliseconds
            self._begin = f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-7"
        return f"{self._begin}{stamp & 0xFFF:03x}-{self._tail}"

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def moment(us: int) -> datetime:
    """Turn microseconds since 1970 into an aware datetime, exactly.

    >>> moment(1_500_000).isoformat()
    '1970-01-01T00:00:01.500000+00:00'
    """
    return _EPOCH + timedelta(microseconds=us)


def microseconds(at: datetime) -> int:
    """Turn an aware datetime into microseconds since 1970, exactly.

    >>> microseconds(moment(1_500_000))
    1500000
    """
    return (at - _EPOCH) // timedelta(microseconds=1)
