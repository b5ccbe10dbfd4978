"""The hint that another process has appended: PostgreSQL's NOTIFY, where it comes through."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from twofold.adapters.postgres.database import Database, close
from twofold.adapters.postgres.failures import FAILURES
from twofold.backoff import Backoff
from twofold.clock import Clock

_CHANNEL = "twofold_log"
_BACKOFF = Backoff(first_seconds=1.0, longest_seconds=5.0)


class Signal:
    """Listens on a connection of its own, from the first wait on. Without one, every wait lasts its full time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.own_process = 0
        self._database = database
        self._clock = clock
        self._heard = asyncio.Event()
        self._listener: asyncio.Task[None] | None = None

    async def wait(self, timeout_seconds: float) -> None:
        """Return when another process has appended, or after the timeout."""
        if self._listener is None:
            self._listener = asyncio.create_task(self._listen())
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._heard.wait()
        self._heard.clear()

    async def _listen(self) -> None:
        failures = 0
        while True:
            failures += 1
            with suppress(*FAILURES):
                if not await self._database.is_direct():
                    return
                await self._listen_until_cut_off()
                failures = 1
            await self._clock.sleep(_BACKOFF.pause_seconds(failures, self._clock.random()))

    async def _listen_until_cut_off(self) -> None:
        cut_off = asyncio.Event()
        connection = await self._database.connect()
        try:
            connection.add_termination_listener(lambda _: cut_off.set())
            await connection.add_listener(_CHANNEL, self._hear)
            self._heard.set()
            await cut_off.wait()
        finally:
            await close(connection)

    def _hear(self, connection: Any, process: int, channel: str, schema: Any) -> None:
        if process != self.own_process and schema == self._database.address.schema:
            self._heard.set()

    async def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.cancel()
            with suppress(asyncio.CancelledError):
                await self._listener
