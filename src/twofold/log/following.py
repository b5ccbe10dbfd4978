"""Following a log: whoever waits for its head to move, and what they get then."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Generic, TypeVar

import msgspec

from twofold.clock import Clock
from twofold.errors import LogCorrupted, LogUnavailable
from twofold.limits import LogLimits
from twofold.log.commit import ends
from twofold.log.store import LogStore

E = TypeVar("E")


class Batch(msgspec.Struct, Generic[E], frozen=True):
    """What a follower gets: selected events, and the position up to which nothing else is selected."""

    events: list[E]
    position: int
    head: int


class Head:
    """Where a log ends, as far as this process knows, and those who wait for it to move."""

    def __init__(self, store: LogStore, clock: Clock, position: int, limits: LogLimits = LogLimits()) -> None:
        self.position = position
        self._limits = limits
        self._store = store
        self._clock = clock
        self._watcher: asyncio.Task[None] | None = None
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._closed = False

    async def find(self) -> int:
        """Return the position of the last event in the log, by whichever process it was appended.

        Raises:
            LogCorrupted: the log ends earlier than it did.
        """
        known = self.position
        found = await self._store.head()
        if found < known:
            raise LogCorrupted(
                f"The log ended at position {known}, and now it ends at {found}: its database was replaced, or taken back "
                "to an earlier state, while this process ran. Stop all processes that use it, and look."
            )
        self.advance(found)
        return self.position

    async def advanced_past(self, position: int) -> None:
        """Return once the head is greater than ``position``.

        It may be for ever that nothing comes; closing the log ends it.

        Raises:
            LogUnavailable: the log is closed, or was closed meanwhile.
        """
        if self.position > position:
            return
        if self._closed:
            raise closed()
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append((position, waiter))
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch())
        try:
            await waiter
        except asyncio.CancelledError:
            self._waiting = [each for each in self._waiting if each[1] is not waiter]
            raise

    def advance(self, head: int) -> None:
        """Take note that the log ends there now, and wake who has waited for that."""
        if head <= self.position:
            return
        self.position = head
        if self._waiting:
            for position, waiter in self._waiting:
                if position < head and not waiter.done():
                    waiter.set_result(None)
            self._waiting = [(position, waiter) for position, waiter in self._waiting if not waiter.done()]

    async def _watch(self) -> None:
        """Look for other processes' appends while anybody waits: the store's hint first, asking for the head always."""
        poll_seconds = self._limits.poll_seconds
        try:
            while True:
                with suppress(LogUnavailable):
                    await self.find()
                    await self._store.changed(poll_seconds)
                    continue
                await self._clock.sleep(poll_seconds)
        except BaseException as error:
            # Whoever waits would wait for ever.
            self._watcher = None
            self._give_up(error if isinstance(error, Exception) else closed())
            if not isinstance(error, Exception):
                raise

    def _give_up(self, error: Exception) -> None:
        for _, waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(error)
        self._waiting = []

    def close(self) -> None:
        """Tell whoever waits, or comes later, that nothing comes any more."""
        self._closed = True
        self._give_up(closed())

    async def release(self) -> None:
        """Stop asking the store."""
        if self._watcher is not None:
            self._watcher.cancel()
            await ends(self._watcher, self._limits.releasing_seconds)


def closed() -> LogUnavailable:
    """Return the error for those who wait for a log that is closed."""
    return LogUnavailable("The log is closed in this process: nothing comes any more.")
