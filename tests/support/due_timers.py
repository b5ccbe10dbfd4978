"""Many timers due within a short time, and two processes that wait for them, of which one is killed in the middle of it.

``python -m tests.support.due_timers`` has 100,000 come due in a minute, and says how late they are.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from tests.support.timer_service import reminders
from tests.support.waiting import until
from twofold.followers import checkpoints
from twofold.log import Criterion, recordable
from twofold.messages import reader
from twofold.processes import TIMERS, TimerDue, TimerSet
from twofold.service import Running, Settings

ROOT = Path(__file__).parents[2]
_FILL = 1_000


class Fired(msgspec.Struct, frozen=True):
    """How often each timer has come due, and how many seconds late each record is, the least first."""

    times: Counter[str]
    late_seconds: list[float]

    def late(self, part: float) -> float:
        """Return the lateness that a part of them does not exceed."""
        return self.late_seconds[min(len(self.late_seconds) - 1, int(part * len(self.late_seconds)))]


async def fire(settings: Settings, count: int, seconds: float, *, kill: bool = True) -> Fired:
    """Have so many timers come due within a time, with two processes of which the one that follows is killed halfway."""
    async with reminders.run(settings):
        pass
    async with reminders.run(settings, roles=["commands", "queries"]) as running:
        with ExitStack() as stack:
            processes = [stack.enter_context(_process(settings)) for _ in range(2)]
            await until(lambda: _owner(running))
            begins_us = running.clock.now_us() + 2_000_000 + count * 100
            await _set(running, count, begins_us, seconds)
            await running.clock.sleep((begins_us - running.clock.now_us()) / 1_000_000 + seconds / 2)
            if kill:
                owner = await _owner(running)
                (owning,) = [each for each in processes if f"/{each.pid}@" in owner]
                owning.kill()
                owning.wait()

            async def are_fired() -> bool:
                types = {each.type: each.events for each in await running.log.types(count)}
                return types.get(TimerDue.message_name, 0) >= count

            await until(are_fired, seconds + 60)
        return await _fired(running)


@contextmanager
def _process(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.support.timer_process", str(settings.log), str(settings.views)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def _owner(running: Running) -> str:
    """Return which process follows the timers, '' if none does."""
    return "".join([each.owner for each in await checkpoints.progress(running.views) if each.follower == TIMERS])


async def _set(running: Running, count: int, begins_us: int, seconds: float) -> None:
    for first in range(0, count, _FILL):
        timers = [
            TimerSet(
                id=f"timer-{number}",
                due_us=begins_us + round(number * seconds * 1_000_000 / count),
                kind="Alarm",
                data=msgspec.Raw(b"{}"),
            )
            for number in range(first, min(first + _FILL, count))
        ]
        await running.log.append([recordable(each, running.clock.new_id(), b"{}").new for each in timers])


async def _fired(running: Running) -> Fired:
    times: Counter[str] = Counter()
    late: list[float] = []
    read, position = reader(TimerDue, 1), 0
    while events := await running.log.read((Criterion(types=(TimerDue.message_name,)),), after=position):
        for event in events:
            due = read(event.data)
            times[due.id] += 1
            late.append((event.recorded_at_us - due.due_us) / 1_000_000)
        position = events[-1].position
    return Fired(times, sorted(late))


def main() -> None:
    """Say how late timers come."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.due_timers", description=sys.modules[__name__].__doc__
    )
    parser.add_argument("--timers", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--url", help="of a PostgreSQL database for log and views")
    parser.add_argument("--no-kill", action="store_true")
    given = parser.parse_args()
    logging.getLogger("twofold").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        files = Settings(log=f"sqlite:///{folder}/log.db", views=f"sqlite:///{folder}/views.db")
        settings = Settings(log=given.url, views=given.url) if given.url else files
        fired = asyncio.run(fire(settings, given.timers, given.seconds, kill=not given.no_kill))
    once = sum(times == 1 for times in fired.times.values())
    print(
        f"{given.timers:,} timers due within {given.seconds:g} s: {once:,} came due once, {len(fired.times) - once} more often"
    )
    print(", ".join(f"{name} {fired.late(part) * 1000:,.0f} ms late" for name, part in _PARTS.items()))


_PARTS = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}

if __name__ == "__main__":
    main()
