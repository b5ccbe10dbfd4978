"""The transport over a broker, whichever it is: what adapters have in common is written here once.

An adapter says how messages get to its broker and back: it is a `Broker`. That what comes is an event, in the order of the
source's log, each once, settled only after it has taken effect, and that something is missing, is seen to here.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Generic, Protocol, TypeVar

import msgspec

from twofold.clock import Clock
from twofold.errors import Undecodable
from twofold.limits import BrokerLimits
from twofold.messaging.message import Delivery
from twofold.messaging.resequencing import Resequencer
from twofold.messaging.wire import Message, messages, part_of

M = TypeVar("M")

_LOOK_SECONDS = 1.0

_logger = logging.getLogger("twofold.messaging")


class Content(msgspec.Struct, frozen=True):
    """What a message of a broker has in it: attributes of a CloudEvent, by their names without a prefix, and data."""

    attributes: Mapping[str, str]
    data: bytes
    is_redelivered: bool = False


class Incoming(Protocol[M]):
    """What comes for a group from one source; ``M`` is a message as the broker's client has it."""

    async def receive(self, most: int, seconds: float) -> Sequence[M]:
        """Return what has come since the last time: as soon as there is something, and nothing if nothing comes in time.

        Raises:
            BrokerUnavailable: the broker cannot be reached, or does not let it be read.
        """
        ...

    def content(self, message: M) -> Content:
        """Return what is in a message.

        Raises:
            Undecodable: it has no headers that can be read; the text says why.
        """
        ...

    async def set_aside(self, message: M, reason: str) -> str:
        """Keep a message that is no event as it came, with all headers and the reason; return where, once it is safe.

        Raises:
            BrokerUnavailable: the broker did not take it.
        """
        ...

    async def settle(self, messages: Sequence[M]) -> None:
        """Tell the broker that these need not come again. One that does not learn of it brings them again, which does no harm.

        Raises:
            BrokerUnavailable: the broker did not take it.
        """
        ...


class Broker(Protocol[M]):
    """A broker, as an adapter reaches it."""

    async def publish(self, source: str, messages: Sequence[Message]) -> None:
        """Hand messages over, in order for each key, and return once the broker has confirmed that it keeps all of them.

        Raises:
            BrokerUnavailable: it has not, and may have kept some of them.
            SettingsError: there is no place for them, and the text says what to create.
        """
        ...

    def incoming(self, group: str, source: str) -> AbstractAsyncContextManager[Incoming[M]]:
        """Open what comes for a group from a source, beginning with what was not settled.

        Raises:
            BrokerUnavailable: the broker cannot be reached.
            SettingsError: there is no such place, and the text says what to create.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class BrokerTransport(Generic[M]):
    """A `Transport` over a broker."""

    pushes = True

    def __init__(self, broker: Broker[M], clock: Clock, limits: BrokerLimits = BrokerLimits()) -> None:
        self._broker = broker
        self._clock = clock
        self._limits = limits
        self._ids: dict[tuple[str, str], dict[int, str]] = {}

    async def publish(self, delivery: Delivery) -> None:
        if told := [*messages(delivery)]:
            await self._broker.publish(delivery.source, told)

    async def subscribe(self, group: str, source: str, after: int) -> AsyncGenerator[Delivery, None]:
        """Yield a source's deliveries, as `Transport` says.

        Raises:
            BrokerUnavailable: the broker is away.
            EventsMissing: it has not what belongs before what it has brought.
            LogCorrupted: the source has published another event at a position than it had before.
        """
        # Whoever fails by what comes again subscribes anew, and must not take it for a repetition then.
        ids = self._ids.setdefault((group, source), {})
        async with self._broker.incoming(group, source) as incoming:
            waiting = Resequencer[M](source, after, ids)
            moved_at = self._clock.monotonic()
            is_known_to_answer = False
            while True:
                received = await incoming.receive(self._limits.batch_events, _LOOK_SECONDS)
                for message in received:
                    await self._add(waiting, incoming, message)
                if taken := waiting.take():
                    # What brings nothing new is settled as all else is: by one whose claim has just been found to hold.
                    yield taken.delivery
                    await incoming.settle(taken.tokens)
                elif not is_known_to_answer:
                    # Whoever was told that the broker is away learns that it is not, though it has nothing.
                    yield Delivery(source, [], waiting.reached, waiting.reached)
                is_known_to_answer = True
                # Repetitions, and what has no position, may come all the time while something else is missing.
                if not waiting.held or (taken and taken.delivery.position > taken.delivery.after):
                    moved_at = self._clock.monotonic()
                waited_seconds = self._clock.monotonic() - moved_at
                if waiting.held > self._limits.early_events or waited_seconds > self._limits.missing_seconds:
                    raise waiting.missing()

    async def _add(self, waiting: Resequencer[M], incoming: Incoming[M], message: M) -> None:
        try:
            content = incoming.content(message)
            part = part_of(content.attributes, content.data, waiting.source, is_redelivered=content.is_redelivered)
        except Undecodable as flaw:
            where = await incoming.set_aside(message, str(flaw))
            _logger.error(
                "A message that %s is said to have published is no event, and is kept in %s: %s",
                waiting.source,
                where,
                flaw,
            )
            await incoming.settle([message])
        else:
            waiting.add(part, message)

    async def close(self) -> None:
        await self._broker.close()
