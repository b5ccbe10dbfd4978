"""A RabbitMQ as the suites of `twofold.testing` use it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import ChannelNotFoundEntity

from tests.support.servers.rabbitmq import WRONG_PASSWORD, RabbitMQServer
from twofold.adapters.rabbitmq.settings import RabbitMQSettings
from twofold.adapters.rabbitmq.topology import declare_exchange, declare_queue
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

    async def put_message(self, message: aio_pika.Message, group: str = GROUP, source: str = SOURCE) -> None:
        """Publish a message of any kind to where a source publishes, once a group has a queue there."""
        await self.declare(group, source)
        async with self.channel() as channel:
            exchange = await channel.get_exchange(self.settings.exchange(source))
            await exchange.publish(message, "put")

    async def declare(self, group: str, source: str) -> None:
        """Make the queue in which what a source publishes waits for a group."""
        async with self.channel() as channel:
            await declare_queue(channel, self.settings, group, source)

    async def plain_queue(self, source: str) -> str:
        """Make a queue, as another application does, for all that a source publishes."""
        async with self.channel() as channel:
            exchange = self.settings.exchange(source)
            await declare_exchange(channel, self.settings, source)
            queue = await channel.declare_queue(f"plain.{exchange}", durable=True)
            await queue.bind(exchange, "#")
            return queue.name

    async def existing(self, queue: str) -> None:
        """Wait until there is a queue."""
        while True:
            with suppress(ChannelNotFoundEntity):
                async with self.channel() as channel:
                    await channel.get_queue(queue)
                    return
            await asyncio.sleep(0.05)

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
