"""Telling that something stands still: once, then now and then for how long, and that it goes on."""

from __future__ import annotations

import logging

from twofold.clock import Clock

_AGAIN_SECONDS = 60.0

_logger = logging.getLogger("twofold.followers")


class Standstill:
    """Why something that is tried again and again does not get ahead. Each try is no news for whoever reads the log."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._reason = ""
        self._since = 0.0
        self._told_at = 0.0

    def tell(self, who: str, reason: str) -> None:
        """Say why somebody pauses: if it is news, or was said a minute ago."""
        now = self._clock.monotonic()
        if not self._reason:
            self._since = now
        if reason != self._reason or now - self._told_at >= _AGAIN_SECONDS:
            age = f", for {now - self._since:.0f} seconds now" if now > self._since else ""
            _logger.warning("%s pauses%s: %s", who, age, reason)
            self._reason, self._told_at = reason, now

    def end(self, who: str) -> None:
        """Say that somebody goes on, if it was said that it does not."""
        if self._reason:
            _logger.info("%s goes on, after %.0f seconds.", who, self._clock.monotonic() - self._since)
            self._reason = ""
