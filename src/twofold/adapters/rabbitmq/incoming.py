"""What comes for a group from one source, by a queue of RabbitMQ."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import takewhile

from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue

from twofold.adapters.rabbitmq.binding import as_it_came, attributes_of
from twofold.adapters.rabbitmq.failures import said_by
from twofold.adapters.rabbitmq.publishing import Publisher
from twofold.adapters.rabbitmq.server import Server, close
from twofold.adapters.rabbitmq.topology import declare_dead_letters, declare_queue
from twofold.clock import Clock, moment
from twofold.errors import BrokerUnavailable
from twofold.messaging import Content

_GATHERING_SECONDS = 0.003


class RabbitMQIncoming:
    """Reads a queue by a channel of its own, whose delivery tags are known to nobody else."""

    def __init__(
        self, server: Server, publisher: Publisher, clock: Clock, group: str, source: str, queue: AbstractQueue
    ) -> None:
        self._server = server
        self._settings = server.settings
        self._publisher = publisher
        self._clock = clock
        self._group = group
        self._source = source
        self._queue = queue
        self._arrived: deque[AbstractIncomingMessage] = deque()
        self._news = asyncio.Event()
        self._unsettled: dict[int, str] = {}
        self._consumer = ""
        self._lost = ""

    async def start(self, channel: AbstractChannel) -> None:
        """Have RabbitMQ send what there is."""
        await channel.set_qos(prefetch_count=self._settings.ahead)
        channel.close_callbacks.add(self._on_close)
        self._driver = await channel.get_underlay_channel()
        self._driver.on_consumer_cancel_callbacks.add(self._on_cancel)
        self._consumer = await self._queue.consume(self._on_message)

    async def _on_message(self, message: AbstractIncomingMessage) -> None:
        self._arrived.append(message)
        self._unsettled[_tag(message)] = message.consumer_tag or ""
        self._news.set()

    def _on_close(self, _: object, error: BaseException | None) -> None:
        self._lose(said_by(error) if error else "it was closed")

    def _on_cancel(self, _: object) -> None:
        self._lose(f"somebody has deleted the queue {self._queue.name}, or its node is gone")

    def _lose(self, reason: str) -> None:
        self._lost = self._lost or reason
        self._news.set()

    async def receive(self, most: int, seconds: float) -> Sequence[AbstractIncomingMessage]:
        if not self._arrived:
            await self._wait(seconds)
        self._check()
        if not self._arrived and self._is_full():
            await self._ask_for_more()
        return [self._arrived.popleft() for _ in range(min(most, len(self._arrived)))]

    async def _wait(self, seconds: float) -> None:
        self._news.clear()
        self._check()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
            # What comes first is rarely alone, and what is handled together is stored together.
            await self._clock.sleep(_GATHERING_SECONDS)

    def _check(self) -> None:
        if self._lost:
            raise BrokerUnavailable(
                f"{self._group} is no longer sent what {self._source} publishes by RabbitMQ at {self._server.url}: "
                f"{self._lost}. It asks again."
            )

    def _is_full(self) -> bool:
        """Say whether RabbitMQ sends no more, as so much is waited with."""
        return sum(consumer == self._consumer for consumer in self._unsettled.values()) >= self._settings.ahead

    async def _ask_for_more(self) -> None:
        """Have RabbitMQ send more, though nothing of what it has sent is settled.

        What belongs before it may be behind it in the queue, as when a source has published anew what had been lost.
        """
        async with self._server.answering():
            await self._queue.cancel(self._consumer)
            self._consumer = await self._queue.consume(self._on_message)

    def content(self, message: AbstractIncomingMessage) -> Content:
        came_before = bool(message.redelivered or message.headers.get("x-delivery-count"))
        return Content(attributes_of(message), message.body, came_before)

    async def set_aside(self, message: AbstractIncomingMessage, reason: str) -> str:
        notes = {
            "twofold-reason": reason,
            "twofold-source": self._source,
            "twofold-place": f"{self._queue.name}, by {message.exchange or '(default)'}/{message.routing_key}",
            "twofold-time": moment(self._clock.now_us()).isoformat(),
        }
        name = self._settings.dead_letters(self._group)
        declare = partial(declare_dead_letters, settings=self._settings, group=self._group)
        await self._publisher.publish("", declare, [(name, as_it_came(message, notes))])
        return f"the queue {name} of {self._server.url}"

    async def settle(self, messages: Sequence[AbstractIncomingMessage]) -> None:
        self._check()
        tags = {_tag(message) for message in messages}
        together = [*takewhile(tags.__contains__, self._unsettled)]
        async with self._server.answering():
            if together:
                await self._driver.basic_ack(together[-1], multiple=True)
            for tag in tags.difference(together):
                await self._driver.basic_ack(tag)
        for tag in tags:
            del self._unsettled[tag]


def _tag(message: AbstractIncomingMessage) -> int:
    if message.delivery_tag is None:
        raise AssertionError("what is consumed has a tag")
    return message.delivery_tag


@asynccontextmanager
async def incoming(
    server: Server, publisher: Publisher, clock: Clock, group: str, source: str
) -> AsyncIterator[RabbitMQIncoming]:
    """Open what comes for a group from a source.

    It has a connection of its own: closing that gives back to the queue whatever is not settled, and lets the next process
    read, even where RabbitMQ does not answer any more.
    """

    async def attempt() -> tuple[AbstractConnection, RabbitMQIncoming]:
        async with server.answering():
            connection = await server.connect(f"{group} reads {source}")
            try:
                channel = await connection.channel()
                queue = await declare_queue(channel, server.settings, group, source)
                reader = RabbitMQIncoming(server, publisher, clock, group, source, queue)
                await reader.start(channel)
            except BaseException:
                await close(connection)
                raise
            return connection, reader

    connection, reader = await server.while_electing(attempt)
    try:
        yield reader
    finally:
        await close(connection)
