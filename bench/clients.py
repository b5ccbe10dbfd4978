"""Many clients at once: as tasks of one event loop, as threads for libraries that block, and in several processes."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing.synchronize import Barrier

from bench.model import Sample, Turns

_START_SECONDS = 60.0
_start: Barrier


async def as_tasks(turns: Turns, clients: range, work: Callable[[int, int], Awaitable[object]]) -> Sample:
    """Have clients do ``work(client, turn)``, each one thing after the other, until the turns are over."""

    async def client(number: int) -> None:
        for turn in turns:
            await work(number, turn)

    turns.begin()
    await asyncio.gather(*[client(number) for number in clients])
    return turns.end()


def as_threads(turns: Turns, clients: range, work: Callable[[int, int], object]) -> Sample:
    """Do the same with a thread per client; the clock starts when all of them stand ready."""
    ready = threading.Barrier(len(clients), action=turns.begin)

    def client(number: int) -> None:
        ready.wait()
        for turn in turns:
            work(number, turn)

    with ThreadPoolExecutor(len(clients)) as pool:
        list(pool.map(client, clients))
    return turns.end()


def in_processes(turns: Turns, shares: Sequence[Callable[[Turns], Sample]]) -> Sample:
    """Have each share of the work done by a process of its own, all from the same moment on; add up what they did."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(len(shares))
    with ProcessPoolExecutor(len(shares), context, initializer=_know_start, initargs=(barrier,)) as pool:
        samples = list(pool.map(partial(_do_share, turns.most // len(shares), turns.seconds), shares))
    return Sample(sum(each.operations for each in samples), max(each.seconds for each in samples))


def _know_start(barrier: Barrier) -> None:
    global _start  # noqa: PLW0603 - a barrier can only be handed to a process at its birth
    _start = barrier


def _do_share(most: int, seconds: float, share: Callable[[Turns], Sample]) -> Sample:
    return share(_TurnsOfAll(most, seconds))


class _TurnsOfAll(Turns):
    """Turns that begin in all processes at once."""

    def begin(self) -> None:
        _start.wait(_START_SECONDS)
        super().begin()
