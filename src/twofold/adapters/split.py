"""A transport of two: events travel by one, and commands with what becomes of them by the other."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AsyncExitStack, aclosing

from msgspec.structs import replace

from twofold.clock import Clock
from twofold.errors import SettingsError
from twofold.limits import Limits
from twofold.messaging import Delivery, Published, Transport
from twofold.service.adapters import open_transport as open_one
from twofold.urls import without_password

_EXAMPLE = "For example split:events=kafka://127.0.0.1:9092,commands=amqp://127.0.0.1:5672"
_PART = re.compile(r",\s*(?=[a-z]+=)")


class SplitTransport:
    """Carries what is for everybody by one transport, and what is for one service by another.

    Each says of its own half up to which position there is nothing else, so what a subscriber gets is in order again. What one
    of them brings therefore waits until the other one has come as far.
    """

    pushes = True

    def __init__(self, events: Transport, commands: Transport) -> None:
        self._events = events
        self._commands = commands

    async def publish(self, delivery: Delivery) -> None:
        # Both come to their end, so that nothing of this attempt is under way beside the next one.
        ended = await asyncio.gather(
            self._events.publish(_part(delivery, lambda event: not event.to)),
            self._commands.publish(_part(delivery, lambda event: bool(event.to))),
            return_exceptions=True,
        )
        for failure in filter(None, ended):
            raise failure

    async def subscribe(self, group: str, source: str, after: int) -> AsyncGenerator[Delivery, None]:
        halves = [_Half(each.subscribe(group, source, after), after) for each in (self._events, self._commands)]
        async with AsyncExitStack() as stack:
            for half in halves:
                await stack.enter_async_context(aclosing(half.deliveries))
                stack.push_async_callback(half.stop)
            while True:
                asked = [half.next() for half in halves if not half.events and half.position <= after]
                await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                brought = [half.take() for half in halves]
                reached = max(after, min(half.position for half in halves))
                events = sorted(
                    (event for half in halves for event in half.up_to(reached)), key=lambda event: event.position
                )
                if events or reached > after or any(brought):
                    yield Delivery(source, events, reached, after)
                    after = reached

    async def close(self) -> None:
        await asyncio.gather(self._events.close(), self._commands.close())


class _Half:
    """What one of the two has brought, and not been asked past: asking for more says that all of it is settled."""

    def __init__(self, deliveries: AsyncGenerator[Delivery, None], after: int) -> None:
        self.deliveries = deliveries
        self.position = after
        self.events: list[Published] = []
        self._coming: asyncio.Future[Delivery] | None = None

    def next(self) -> asyncio.Future[Delivery]:
        """Ask for more, if that is not done yet."""
        if self._coming is None:
            self._coming = asyncio.ensure_future(anext(self.deliveries))
        return self._coming

    def take(self) -> bool:
        """Take what has come, and say whether anything has."""
        if self._coming is None or not self._coming.done():
            return False
        delivery, self._coming = self._coming.result(), None
        self.events += delivery.events
        self.position = max(self.position, delivery.position)
        return True

    def up_to(self, position: int) -> list[Published]:
        """Return, and have no longer, what there is up to a position, and what has none."""
        taken = [event for event in self.events if event.position <= position]
        self.events = [event for event in self.events if event.position > position]
        return taken

    async def stop(self) -> None:
        """Wait for nothing more."""
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.wait([self._coming])


def _part(delivery: Delivery, belongs: Callable[[Published], bool]) -> Delivery:
    return replace(delivery, events=[event for event in delivery.events if belongs(event)])


def open_transport(url: str, clock: Clock, limits: Limits, sources: Iterable[str]) -> SplitTransport:
    """Return the transport of a URL such as ``split:events=kafka://127.0.0.1:9092,commands=amqp://127.0.0.1:5672``.

    Raises:
        SettingsError: it does not name both, one of them is none, or reads the source's log by itself.
    """
    parts = dict(each.split("=", 1) for each in _PART.split(url.removeprefix("split:")) if "=" in each)
    if parts.keys() != {"events", "commands"}:
        raise SettingsError(f"{without_password(url)!r}: it has to say events=… and commands=…. {_EXAMPLE}")
    heard = tuple(sources)
    opened = {name: open_one(each, clock, limits, heard) for name, each in parts.items()}
    for name, each in opened.items():
        if not each.pushes:
            raise SettingsError(
                f"{without_password(url)!r}: {name} are to travel by what reads a service's log by itself, and brings all of "
                f"it. Name a broker. {_EXAMPLE}"
            )
    return SplitTransport(opened["events"], opened["commands"])
