"""RabbitMQ as a broker: `twofold.messaging.Broker` says what it does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from twofold.adapters.rabbitmq.binding import amqp_message, routing_key
from twofold.adapters.rabbitmq.incoming import RabbitMQIncoming, incoming
from twofold.adapters.rabbitmq.publishing import Publisher, Unroutable
from twofold.adapters.rabbitmq.server import Server
from twofold.adapters.rabbitmq.settings import RabbitMQSettings
from twofold.adapters.rabbitmq.topology import declare_exchange, declare_queue
from twofold.clock import Clock
from twofold.errors import SettingsError
from twofold.limits import Limits
from twofold.messaging import BrokerTransport, Message


class RabbitMQBroker:
    """An exchange for each service that publishes, and a queue at it for each that subscribes.

    An exchange keeps nothing: what is published before a queue is there would be missed. So publishing fails as long as nobody
    has a queue. ``subscribers`` are those whose queues are made by whoever publishes, so that they may come late.
    """

    def __init__(self, settings: RabbitMQSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._server = Server(settings, clock)
        self._publisher = Publisher(self._server)

    async def publish(self, source: str, messages: Sequence[Message]) -> None:
        exchange = self._settings.exchange(source)

        async def declare(channel: AbstractChannel) -> None:
            await declare_exchange(channel, self._settings, source)
            for group in self._settings.subscribers(source):
                await declare_queue(channel, self._settings, group, source)

        try:
            sent = [(routing_key(each), amqp_message(each)) for each in messages]
            await self._publisher.publish(exchange, declare, sent)
        except Unroutable as error:
            raise SettingsError(
                f"No queue takes what {source} publishes of type {error} to the exchange {exchange} of RabbitMQ at "
                f"{self._server.url}, and it waits until one does. Start the services that subscribe to it, or name them in "
                f"the URL of {source}, which makes their queues, so that nobody misses anything: ?subscribers=ledger,stock"
            ) from error

    def incoming(self, group: str, source: str) -> AbstractAsyncContextManager[RabbitMQIncoming]:
        return incoming(self._server, self._publisher, self._clock, group, source)

    async def close(self) -> None:
        await self._publisher.close()


def open_transport(
    url: str, clock: Clock, limits: Limits, sources: Iterable[str]
) -> BrokerTransport[AbstractIncomingMessage]:
    """Return the transport of a URL such as ``amqp://user:password@rabbitmq/shop?subscribers=ledger,stock``.

    Raises:
        SettingsError: it cannot be meant.
    """
    settings = RabbitMQSettings.of(url, limits.broker)
    return BrokerTransport(RabbitMQBroker(settings, clock), clock, limits.broker)
