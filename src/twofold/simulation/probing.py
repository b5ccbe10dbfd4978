"""Probes: event handlers that take note of what they are called for, as nothing in a log tells of what they do outside."""

from __future__ import annotations

from contextvars import ContextVar
from copy import copy
from typing import Any

import msgspec
from msgspec.structs import replace

from twofold.followers import Decision, Discard, Failure
from twofold.messages import Event, current
from twofold.processes import EventHandler
from twofold.service import Service


class Called(msgspec.Struct):
    """A call of an event handler, for the event of an id: which of all that was begun and ended it was to begin, and to end.

    It has not ended where it failed, was cancelled, or its process died. ``returned`` is what it returned.
    """

    service: str
    handler: str
    event: str
    began: int
    ended: int = 0
    returned: Any = None


class Calls:
    """All calls of event handlers in a run, as they began, and which positions policies have left out, of which follower."""

    def __init__(self) -> None:
        self.all: list[Called] = []
        self.left_out: dict[tuple[str, str, int], int] = {}
        """When it was left out, by service, follower and position."""
        self._moment = 0

    def begin(self, service: str, handler: str, event: str) -> Called:
        """Take note that a handler is called."""
        called = Called(service, handler, event, self._next())
        self.all.append(called)
        return called

    def end(self, called: Called, returned: Any) -> None:
        """Take note that a call has succeeded."""
        called.returned, called.ended = returned, self._next()

    def leave_out(self, service: str, follower: str, position: int) -> None:
        """Take note that a policy has an event left out after it has failed."""
        self.left_out[service, follower, position] = self._next()

    def _next(self) -> int:
        self._moment += 1
        return self._moment


calls: ContextVar[Calls | None] = ContextVar("twofold_simulated_calls", default=None)
"""Where to note what handlers are called for: set in all of a world."""


def probed(service: Service) -> Service:
    """Return a service that is the same but for its event handlers: each takes note of its calls, and of its policy's word."""
    declaration = service.declaration
    made = copy(service)
    made.declaration = replace(
        declaration, handlers=tuple([_probed(service.name, each) for each in declaration.handlers])
    )
    return made


def _probed(service: str, handler: EventHandler) -> EventHandler:
    async def function(event: Event, **given: Any) -> Any:
        noted = calls.get()
        called = noted and noted.begin(service, handler.name, current.get().causation)
        returned = await handler.function(event, **given)
        if noted and called:
            noted.end(called, returned)
        return returned

    def policy(failure: Failure) -> Decision:
        decision = handler.policy(failure)
        if isinstance(decision, Discard) and (noted := calls.get()):
            noted.leave_out(service, handler.follower, failure.position)
        return decision

    return replace(handler, function=function, policy=policy)
