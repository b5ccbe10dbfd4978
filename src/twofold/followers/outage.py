"""Outages: where nearly all that comes fails, what is called is down, and it is not one bad event after the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from twofold.backoff import Backoff
from twofold.clock import Clock
from twofold.followers.storable import storable_error
from twofold.limits import HandlerLimits
from twofold.telemetry import Telemetry
from twofold.telemetry.events import OutageBegan, OutageEnded

_FIRST_PAUSE_SECONDS = 1.0

_logger = logging.getLogger("twofold.followers")


class Outage:
    """A circuit breaker: it is on once so many keys in a row have failed, and until something succeeds.

    While it is on, one piece of work after the other is tried as a probe, after pauses that grow. It is told once each way.
    """

    def __init__(self, name: str, clock: Clock, limits: HandlerLimits, telemetry: Telemetry) -> None:
        self._name = name
        self._clock = clock
        self._telemetry = telemetry
        self._keys = limits.outage_keys
        self._backoff = Backoff(min(_FIRST_PAUSE_SECONDS, limits.longest_probe_seconds), limits.longest_probe_seconds)
        self._failing: set[str] = set()
        self._probes = 0
        self._probing = asyncio.Lock()
        self._pause: asyncio.Future[None] | None = None
        self._since = 0.0
        self._pause_seconds = 0.0
        self._next = 0.0
        self.is_on = False

    @property
    def is_time(self) -> bool:
        """Whether the pause since the last probe is over, so that there may be another one."""
        return self._clock.monotonic() >= self._next

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do a piece of work; while it is on, when it is its turn, after a pause."""
        while self.is_on:
            async with self._probing:
                if self.is_on:
                    await self._wait()
                    await work()
                    return
        await work()

    async def _wait(self) -> None:
        self._pause = asyncio.ensure_future(self._clock.sleep(self._pause_seconds))
        try:
            await asyncio.wait([self._pause])
        finally:
            self.end()

    def end(self) -> None:
        """End the pause that somebody waits for."""
        if self._pause is not None:
            self._pause.cancel()

    def failed(self, key: str, error: BaseException) -> bool:
        """Take note that a key's work has failed for a reason that may pass, and say whether it is on now."""
        self._failing.add(key)
        if self.is_on or len(self._failing) >= self._keys:
            self._probes += 1
            self._pause_seconds = self._backoff.pause_seconds(self._probes, self._clock.random())
            self._next = self._clock.monotonic() + self._pause_seconds
        if not self.is_on and len(self._failing) >= self._keys:
            self.is_on = True
            self._since = self._clock.monotonic()
            _logger.warning(
                "%s fails for each of the last %d keys, so it tries one event at a time until one succeeds: %s",
                self._name, len(self._failing), storable_error(error),
            )  # fmt: skip
            if self._telemetry.has_listeners:
                self._telemetry.emit(OutageBegan(self._name, type(error).__name__))
        return self.is_on

    def succeeded(self) -> None:
        """Take note that something has succeeded."""
        self._failing.clear()
        if self.is_on:
            self.is_on = False
            self._probes = 0
            seconds = self._clock.monotonic() - self._since
            _logger.warning("%s succeeds again, after %.0f s.", self._name, seconds)
            if self._telemetry.has_listeners:
                self._telemetry.emit(OutageEnded(seconds, self._name))
