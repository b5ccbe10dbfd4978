"""A Kafka cluster as a broker: what is published goes through one producer, and each source that is heard has a consumer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from twofold.adapters.kafka.incoming import KafkaIncoming, KafkaMessage
from twofold.adapters.kafka.letters import letter_of
from twofold.adapters.kafka.publishing import Publisher
from twofold.adapters.kafka.settings import KafkaSettings
from twofold.adapters.kafka.topics import Topics
from twofold.clock import Clock
from twofold.limits import Limits
from twofold.messaging.brokers import BrokerTransport
from twofold.messaging.wire import Message


class KafkaBroker:
    """A `Broker`. Clients are made when they are needed, so that nothing is connected to before."""

    def __init__(self, settings: KafkaSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._topics = Topics(settings, clock)
        self._publisher = Publisher(settings)

    async def publish(self, source: str, messages: Sequence[Message]) -> None:
        topic = self._settings.topic(source)
        await self._topics.check(topic)
        await self._publisher.publish(topic, [letter_of(each) for each in messages])

    @asynccontextmanager
    async def incoming(self, group: str, source: str) -> AsyncIterator[KafkaIncoming]:
        incoming = KafkaIncoming(self._settings, self._clock, self._topics, self._publisher, group, source)
        try:
            await incoming.open()
            yield incoming
        finally:
            await incoming.close()

    async def close(self) -> None:
        await self._topics.close()
        await self._publisher.close()


def open_transport(url: str, clock: Clock, limits: Limits, sources: Iterable[str]) -> BrokerTransport[KafkaMessage]:
    """Return the transport of a URL such as ``kafka://user:password@one:9092,two:9092?topic=*.events``.

    Raises:
        SettingsError: it cannot be meant.
    """
    settings = KafkaSettings.of(url, limits.broker)
    return BrokerTransport(KafkaBroker(settings, clock), clock, limits.broker)
