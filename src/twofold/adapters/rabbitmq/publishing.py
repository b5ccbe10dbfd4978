"""Handing messages to RabbitMQ, each confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractMessage
from aio_pika.exceptions import PublishError

from twofold.adapters.rabbitmq.failures import said_by
from twofold.adapters.rabbitmq.server import Server, close
from twofold.errors import BrokerUnavailable

Declare = Callable[[AbstractChannel], Awaitable[object]]
Routed = tuple[str, AbstractMessage]


class Unroutable(BrokerUnavailable):
    """No queue takes a message. What is said is its routing key."""


class Publisher:
    """One connection for all that this process publishes, apart from those by which it reads.

    RabbitMQ stops reading from a connection that publishes while it is low on memory or disk, acknowledgements included.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._turn = asyncio.Lock()
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._declared: set[str] = set()

    async def publish(self, exchange: str, declare: Declare, messages: Sequence[Routed]) -> None:
        """Publish messages by their routing keys, in order, and return once RabbitMQ keeps each in all queues that it is for.

        What is there is declared the first time by a connection: a broker that comes back may have lost it.

        Raises:
            BrokerUnavailable: RabbitMQ has not confirmed all of them.
            SettingsError: it does not allow this.
            Unroutable: there is no queue for one of them.
        """
        await self._server.while_electing(partial(self._publish, exchange, declare, messages))

    async def _publish(self, exchange: str, declare: Declare, messages: Sequence[Routed]) -> None:
        # In the default exchange, what is declared is the queue that the message is for.
        place = exchange or messages[0][0]
        try:
            async with self._server.answering():
                returned = await self._send(await self._open(place, declare), exchange, messages)
        except BrokerUnavailable as error:
            if not await self._is_blocked():
                # What a queue was sent while it was on its way back is never confirmed by this channel, nor what comes after.
                await self.close()
                raise
            raise BrokerUnavailable(
                f"RabbitMQ at {self._server.url} takes nothing at the moment, as it is low on memory or disk. Make room; what "
                "it lacks is said by: rabbitmq-diagnostics alarms"
            ) from error
        if returned:
            self._declared.discard(place)
            raise Unroutable(said_by(returned[0])) from returned[0]

    async def _send(
        self, channel: AbstractChannel, exchange: str, messages: Sequence[Routed]
    ) -> Sequence[PublishError]:
        """Send messages, and return those that no queue takes."""
        target = await channel.get_exchange(exchange, ensure=False)
        await self._ready()
        results = await asyncio.gather(
            *[target.publish(message, key) for key, message in messages], return_exceptions=True
        )
        failures = [each for each in results if isinstance(each, BaseException)]
        for each in failures:
            if not isinstance(each, PublishError):
                raise each
        return [each for each in failures if isinstance(each, PublishError)]

    async def _ready(self) -> None:
        """Wait while RabbitMQ takes nothing: what is sent meanwhile would be sent again with each further attempt."""
        if self._connection is not None and self._connection.transport is not None:
            await self._connection.transport.ready()

    async def _is_blocked(self) -> bool:
        if self._channel is None or self._channel.is_closed:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await self._ready()
                return False
        return True

    async def _open(self, place: str, declare: Declare) -> AbstractChannel:
        async with self._turn:
            channel = self._channel
            if channel is None or channel.is_closed:
                await self.close()
                self._connection = await self._server.connect("publishes")
                self._channel = channel = self._connection.channel(on_return_raises=True)
                await channel.initialize()
                self._declared.clear()
            if place not in self._declared:
                await declare(channel)
                self._declared.add(place)
            return channel

    async def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            await close(connection)
