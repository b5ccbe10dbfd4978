"""The one thread on which a client of Kafka is used: its calls wait, and an event loop may not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

SLICE_SECONDS: Final = 0.1
"""How long a call waits at the most until it looks whether it is to end."""

_FAREWELL_SECONDS: Final = 2.0


class ClientThread:
    """A thread that does one call after the other, and can be told that nobody waits for them any more."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self.is_ending = False

    async def run(self, call: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        """Make a call on the thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: call(*arguments, **named))

    async def end(self, last: Callable[[], object]) -> None:
        """End with a last call, after what is under way; one that takes long, as without a broker, ends by itself later."""
        self.is_ending = True
        ending = asyncio.wrap_future(self._executor.submit(last))
        self._executor.shutdown(wait=False)
        done, _ = await asyncio.wait([ending], timeout=_FAREWELL_SECONDS)
        for each in done:
            each.result()
