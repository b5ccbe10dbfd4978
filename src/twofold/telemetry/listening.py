"""Telling whoever listens; where nobody does, it costs next to nothing."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import TypeAlias

from twofold.clock import Clock
from twofold.telemetry.events import TelemetryEvent

Listener: TypeAlias = Callable[[TelemetryEvent, str], object]
"""Is told what has happened, and in which service. It runs on the event loop, so it has to be quick."""

_logger = logging.getLogger("twofold.telemetry")


class Telemetry:
    """What happens in one running service, told to those who have attached themselves.

    Whatever has something to tell looks first whether anybody listens::

        began = telemetry.began()
        ...
        if began is not None:
            telemetry.emit(CommandDecided(seconds=telemetry.since(began), command="Deposit"))
    """

    __slots__ = ("_clock", "_listeners", "has_listeners", "service")

    def __init__(self, clock: Clock, service: str = "") -> None:
        self.service = service
        self.has_listeners = False
        self._clock = clock
        self._listeners: tuple[_Attached, ...] = ()

    def attach(self, listener: Listener) -> Callable[[], None]:
        """Have a listener told of everything from now on; call what is returned to have it told no more.

        What a listener raises is logged, once, and harms nobody.

        Raises:
            TypeError: it cannot be called, or only be awaited.
        """
        if not callable(listener) or inspect.iscoroutinefunction(listener):
            raise TypeError(
                f"{listener!r} cannot listen: give a plain function of the telemetry event and the service's name. "
                "What takes long, it can put in a queue."
            )
        attached = _Attached(listener)
        self._set((*self._listeners, attached))
        return lambda: self._set(tuple([each for each in self._listeners if each is not attached]))

    def _set(self, listeners: tuple[_Attached, ...]) -> None:
        self._listeners = listeners
        self.has_listeners = bool(listeners)

    def began(self) -> float | None:
        """Return when something begins, for `since`; None if nobody listens, and so nothing need be measured."""
        return self._clock.monotonic() if self.has_listeners else None

    def since(self, began: float) -> float:
        """Return how many seconds have passed."""
        return self._clock.monotonic() - began

    def age(self, at_us: int) -> float:
        """Return how many seconds ago something was, by the clock of whoever said when; not less than none."""
        return max(0, self._clock.now_us() - at_us) / 1_000_000

    def emit(self, event: TelemetryEvent) -> None:
        """Tell all who listen."""
        for each in self._listeners:
            each.tell(event, self.service)


class _Attached:
    """A listener, and whether it was logged that it raises."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._is_known_to_raise = False

    def tell(self, event: TelemetryEvent, service: str) -> None:
        try:
            self._listener(event, service)
        except (Exception, asyncio.CancelledError):
            # Nothing is awaited here: whatever is raised is the listener's own.
            if not self._is_known_to_raise:
                self._is_known_to_raise = True
                _logger.exception(
                    "%r, which listens to %s, raised on %s. It is told of what comes all the same, and what else it raises is "
                    "not logged.", self._listener, service or "a log", event.name,
                )  # fmt: skip
