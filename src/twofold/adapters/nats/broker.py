"""The transport over NATS JetStream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from nats.aio.msg import Msg
from nats.js.api import PubAck

from twofold.adapters.broker_url import BrokerUrl
from twofold.adapters.nats.connection import Connection, connect
from twofold.adapters.nats.headers import headers_of
from twofold.adapters.nats.incoming import NatsIncoming
from twofold.adapters.nats.places import EXAMPLE, Place, dead_letters_of, events_of, prepare, replicas_of
from twofold.clock import Clock
from twofold.errors import BrokerUnavailable, SettingsError
from twofold.limits import BrokerLimits, Limits
from twofold.messaging import BrokerTransport, Message

_PORT = 4222
_OPTIONS = ("create", "dead_letters", "replicas", "stream", "subject")


class NatsBroker:
    """NATS as `BrokerTransport` reaches it: a connection for all that is published, and one for each source that is heard."""

    def __init__(self, url: BrokerUrl, scheme: str, clock: Clock, limits: BrokerLimits) -> None:
        self._url = url
        self._scheme = scheme
        self._clock = clock
        self._limits = limits
        self._turn = asyncio.Lock()
        self._connection: Connection | None = None
        self._prepared: set[str] = set()

    async def publish(self, source: str, messages: Sequence[Message]) -> None:
        place = events_of(source, self._url)
        try:
            await self._publish(place, messages)
        except BrokerUnavailable:
            # Somebody may have deleted the stream, so the next attempt sees to it.
            self._prepared.discard(place.stream)
            raise

    async def _publish(self, place: Place, messages: Sequence[Message]) -> None:
        connection = await self._publishing(place)
        await connection.answer(_published(connection, place, messages))

    async def _publishing(self, place: Place) -> Connection:
        """Return the connection for publishing, opened if there is none, by which the stream was seen to."""
        async with self._turn:
            if self._connection is None or self._connection.is_lost:
                await self._disconnect()
                self._connection = await connect(self._url, self._scheme, self._clock, self._limits.answer_seconds)
            if place.stream not in self._prepared:
                await prepare(place, self._connection, self._url)
                self._prepared.add(place.stream)
            return self._connection

    @asynccontextmanager
    async def incoming(self, group: str, source: str) -> AsyncIterator[NatsIncoming]:
        place = events_of(source, self._url)
        connection = await connect(self._url, self._scheme, self._clock, self._limits.answer_seconds)
        try:
            await prepare(place, connection, self._url)
            incoming = NatsIncoming(connection, self._url, self._clock, place, group, source)
            await incoming.open()
            yield incoming
        finally:
            await connection.close()

    async def close(self) -> None:
        async with self._turn:
            await self._disconnect()

    async def _disconnect(self) -> None:
        self._prepared.clear()
        if self._connection is not None:
            await self._connection.close()
        self._connection = None


async def _published(connection: Connection, place: Place, messages: Sequence[Message]) -> None:
    """Publish messages one after the other, and only then wait for what the server says to all of them.

    They have no ``Nats-Msg-Id``: the server would leave out what is published again for a subscriber that went back.
    """
    confirming: list[asyncio.Future[PubAck]] = []
    try:
        for message in messages:
            subject, headers = place.subject(message.attributes["type"]), headers_of(message.attributes)
            connection.check_size(headers, message.data)
            confirming.append(
                await connection.streams.publish_async(subject, message.data, stream=place.stream, headers=headers)
            )
        await asyncio.gather(*confirming)
    finally:
        for each in confirming:
            each.cancel()


def open_transport(url: str, clock: Clock, limits: Limits, sources: Iterable[str]) -> BrokerTransport[Msg]:
    """Return the transport of a URL such as ``nats://user:password@one,two:4222?stream=*-events&replicas=3``.

    Raises:
        SettingsError: it names no server, or an option that there is not, or NATS has no such places.
    """
    address = BrokerUrl.of(url, _PORT, _OPTIONS, EXAMPLE)
    if address.options.get("create", "yes") not in ("yes", "no"):
        raise SettingsError(f"{address}: create has to be one of yes, no. {EXAMPLE}")
    replicas_of(address)
    dead_letters_of("any", address)
    for source in ("any", *sources):
        events_of(source, address)
    broker = NatsBroker(address, url.partition(":")[0], clock, limits.broker)
    return BrokerTransport(broker, clock, limits.broker)
