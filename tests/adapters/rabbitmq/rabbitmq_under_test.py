"""A RabbitMQ as the suites of `twofold.testing` use it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from tests.support.servers.rabbitmq import WRONG_PASSWORD, RabbitMQServer
from twofold.adapters.rabbitmq.settings import RabbitMQSettings
from twofold.adapters.rabbitmq.topology import declare_queue
from twofold.limits import BrokerLimits
from twofold.testing.broker_conformance import GROUP, StoredMessage
from twofold.testing.transport_conformance import SOURCE


class RabbitMQUnderTest:
    def __init__(self, url: str) -> None:
        self.url = url
        self.server = url.partition("?")[0]
        self.settings = RabbitMQSettings.of(url, BrokerLimits())

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[AbstractChannel]:
        """Open a channel, as any other application does."""
        async with await aio_pika.connect(self.server) as connection, connection.channel() as channel:
            yield channel

    async def put(self, attributes: Mapping[str, str], headers: Mapping[str, str], data: bytes) -> None:
        named = {f"cloudEvents:{name}": text for name, text in attributes.items()}
        await self.put_message(aio_pika.Message(data, headers={**named, **headers}))

    async def put_message(self, message: aio_pika.Message) -> None:
        """Publish a message of any kind to where the source publishes."""
        async with self.channel() as channel:
            await declare_queue(channel, self.settings, GROUP, SOURCE)
            exchange = await channel.get_exchange(self.settings.exchange(SOURCE))
            await exchange.publish(message, "put")

    async def dead_letters(self, group: str) -> Sequence[StoredMessage]:
        return [
            StoredMessage({name: str(text) for name, text in message.headers.items()}, message.body)
            for message in await self.read(self.settings.dead_letters(group))
        ]

    async def read(self, queue: str) -> list[AbstractIncomingMessage]:
        """Return all that is in a queue, and leave it there."""
        found: list[AbstractIncomingMessage] = []
        async with self.channel() as channel:
            opened = await channel.get_queue(queue)
            while message := await opened.get(fail=False):
                found.append(message)
        return found

    async def clear(self) -> None:
        """Delete what was made in these places."""
        async with self.channel() as channel:
            for group in ("ledger", "stock"):
                for name in (self.settings.queue(group, SOURCE), self.settings.dead_letters(group)):
                    queue = await channel.get_queue(name, ensure=False)
                    await queue.delete(if_unused=False, if_empty=False)
            exchange = await channel.get_exchange(self.settings.exchange(SOURCE), ensure=False)
            await exchange.delete()


class RabbitMQOfOurs(RabbitMQUnderTest):
    wrong_password = WRONG_PASSWORD

    def __init__(self, server: RabbitMQServer, places: str) -> None:
        super().__init__(f"{server.url}?{places}")
        self.wrong_url = f"{server.wrong_url}?{places}"
        self.stop = server.stop
        self.start = server.start
