"""Waiting until services have done all that there is to do, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from twofold.followers import Segment, checkpoints, parking
from twofold.followers.shadow import shadowed
from twofold.messaging.names import RELAY, carries_events, source_of
from twofold.processes import CARRIED_OUT, COMMANDS, TIMERS
from twofold.processes.timers import due_timers
from twofold.service import Running

_LOOK_SECONDS = 0.01
_CARRYING_OUT = {COMMANDS, TIMERS}


async def settled(*services: Running, timeout_seconds: float = 10.0) -> None:
    """Return once services have nothing left to do: views, handlers, processes, timers and what is to be tried again.

    They have nothing left when each follower has seen the whole log, no timer and no retry is due, and none of that has led to
    something new. What is due later is not waited for: move the clock.

    Raises:
        AssertionError: that is not so in time; the text says what is behind.
    """
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    before: dict[str, int] = {}
    while True:
        heads = {each.name: await each.log.head() for each in services}
        behind = [text for each in services async for text in _behind(each, heads)]
        if not behind and heads == before:
            return
        before = heads
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"After {timeout_seconds:g} s: {'; '.join(behind) or 'the log goes on growing'}.")
        await asyncio.sleep(_LOOK_SECONDS)


async def _behind(running: Running, heads: Mapping[str, int]) -> AsyncIterator[str]:
    """Yield what a service has still to do; ``heads`` is where the logs of all end, by service."""
    names, now_us = {*running.coordinator.names}, running.clock.now_us()
    reached: dict[str, int] = {}
    for each in await checkpoints.progress(running.views):
        reached[each.follower] = min(each.position, reached.get(each.follower, each.position))
    for name in names:
        goal = heads.get(source_of(name), 0) if carries_events(name) and name != RELAY else heads[running.name]
        if reached.get(name, -1) < goal and not shadowed(name):
            yield f"{name} of {running.name} is at {reached.get(name, 0)} of {goal}"
    if not names >= _CARRYING_OUT and await running.log.read(CARRIED_OUT, limit=1):
        yield f"{running.name} has not begun to carry out what is in its log"
    if reached.get(TIMERS) and await due_timers(running.views, Segment(), now_us, 1):
        yield f"{running.name} has a timer that is due"
    first = {(each.follower, each.key): each for each in reversed(await parking.parked(running.views))}
    for parked in first.values():
        if not parked.error or 0 < parked.retry_at_us <= now_us:
            yield f"{parked.follower} of {running.name} has position {parked.position} of {parked.key} to be tried again"
