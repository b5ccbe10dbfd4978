"""Many clients at once: as tasks of one event loop, or as threads, for libraries that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from bench.model import Sample, Turns


async def as_tasks(turns: Turns, clients: int, work: Callable[[int, int], Awaitable[object]]) -> Sample:
    """Have clients do ``work(client, turn)``, each one thing after the other, until the turns are over."""

    async def client(number: int) -> None:
        for turn in turns:
            await work(number, turn)

    turns.begin()
    await asyncio.gather(*[client(number) for number in range(clients)])
    return turns.end()


def as_threads(turns: Turns, clients: int, work: Callable[[int, int], object]) -> Sample:
    """Do the same with a thread per client; the clock starts when all of them stand ready."""
    ready = threading.Barrier(clients, action=turns.begin)

    def client(number: int) -> None:
        ready.wait()
        for turn in turns:
            work(number, turn)

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(client, range(clients)))
    return turns.end()
