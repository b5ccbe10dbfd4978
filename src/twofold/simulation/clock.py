"""The clock of a simulated process: virtual time, seen through a clock that may be wrong."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import msgspec

from twofold.simulation.chance import Chance

_BEGIN_US = 1_800_000_000_000_000
"""When every simulation begins, in microseconds since 1970."""


class Drawn(msgspec.Struct):
    """What a clock was asked for on behalf of a command: a decision that is made again needs the same."""

    now_us: int = 0
    ids: list[str] = []


class Calendar:
    """How much time has passed at once, for all clocks of a world, in microseconds: nobody has done anything meanwhile."""

    def __init__(self) -> None:
        self.skipped_us = 0


drawn: ContextVar[Drawn | None] = ContextVar("twofold_simulated_draws", default=None)
"""Where to note what clocks are asked for: set for the time in which a command is handled."""


class SimulatedClock:
    """A `twofold.clock.Clock` whose time is the loop's, ahead or behind, faster or slower; chance and ids are the seed's."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, chance: Chance, calendar: Calendar | None = None, *, rate: float = 1.0
    ) -> None:
        self._loop = loop
        self._calendar = calendar or Calendar()
        self._rate = rate
        self._ahead_us = 0
        self._stamp = 0
        self.random = chance.random
        self._tail = f"{0x8000 | chance.below(1 << 14):04x}-{chance.below(1 << 48):012x}"

    def jump(self, seconds: float) -> None:
        """Set the time of day forwards or back, as an operator does, or a virtual machine that was moved."""
        self._ahead_us += int(seconds * 1_000_000)

    def now_us(self) -> int:
        lived_us = int(self._loop.time() * self._rate * 1_000_000)
        now_us = _BEGIN_US + lived_us + self._calendar.skipped_us + self._ahead_us
        noted = drawn.get()
        if noted is not None and not noted.now_us:
            noted.now_us = now_us
        return now_us

    def monotonic(self) -> float:
        return self._loop.time() * self._rate

    def new_id(self) -> str:
        stamp = (_BEGIN_US // 1000 + int(self._loop.time() * 1000)) << 12
        self._stamp = stamp = max(stamp, self._stamp + 1)
        made = _written(stamp, self._tail)
        noted = drawn.get()
        if noted is not None:
            noted.ids.append(made)
        return made

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._rate)


def given_before(id: str, count: int) -> list[str]:
    """Return the last ids that a simulated clock has given before one, if that was at the same moment."""
    *stamped, first, second = id.split("-")
    stamp = int("".join(stamped).replace("-", ""), 16)
    milliseconds, fraction = stamp >> 16, stamp & 0xFFF
    stamp = milliseconds << 12 | fraction
    return [_written(stamp - before, f"{first}-{second}") for before in range(count, 0, -1)]


def _written(stamp: int, tail: str) -> str:
    milliseconds = stamp >> 12
    return f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-7{stamp & 0xFFF:03x}-{tail}"
