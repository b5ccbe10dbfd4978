"""Handing messages to RabbitMQ, each confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractMessage
from aio_pika.exceptions import PublishError

from twofold.adapters.rabbitmq.server import Server, close, said_by

Declare = Callable[[AbstractChannel], Awaitable[object]]
Routed = tuple[str, AbstractMessage]


class Unroutable(Exception):
    """No queue has taken a message."""


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
            LogUnavailable: RabbitMQ has not confirmed all of them.
            SettingsError: it does not allow this.
            Unroutable: there is no queue for one of them.
        """
        await self._server.while_electing(partial(self._publish, exchange, declare, messages))

    async def _publish(self, exchange: str, declare: Declare, messages: Sequence[Routed]) -> None:
        async with self._server.answering():
            channel = await self._open(exchange, declare)
            target = await channel.get_exchange(exchange, ensure=False)
            sent = [target.publish(message, key) for key, message in messages]
            for failure in await asyncio.gather(*sent, return_exceptions=True):
                if isinstance(failure, PublishError):
                    raise Unroutable(said_by(failure)) from failure
                if isinstance(failure, BaseException):
                    raise failure

    async def _open(self, exchange: str, declare: Declare) -> AbstractChannel:
        async with self._turn:
            if self._channel is None or self._channel.is_closed:
                self._channel = await self._channel_of(await self._connected())
                self._declared.clear()
            if exchange not in self._declared:
                await declare(self._channel)
                self._declared.add(exchange)
            return self._channel

    async def _connected(self) -> AbstractConnection:
        if self._connection is not None and not self._connection.connected.is_set():
            await self.close()
        if self._connection is None:
            self._connection = await self._server.connect("publishes")
        return self._connection

    async def _channel_of(self, connection: AbstractConnection) -> AbstractChannel:
        channel = connection.channel(on_return_raises=True)
        await channel.initialize()
        return channel

    async def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            await close(connection)
