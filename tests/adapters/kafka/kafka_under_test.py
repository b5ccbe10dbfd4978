"""A Kafka as the suites of `twofold.testing` use it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.support.servers.kafka import WRONG_PASSWORD, KafkaServer
from twofold.testing.broker_conformance import StoredMessage
from twofold.testing.transport_conformance import SOURCE


class KafkaUnderTest:
    def __init__(self, url: str) -> None:
        self.url = url
        self.servers = urlsplit(url).netloc.rpartition("@")[2]
        self._config: dict[str, Any] = {"bootstrap.servers": self.servers}
        self.admin = AdminClient(self._config)
        self.options = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}

    @property
    def topic(self) -> str:
        return self.options["topic"].replace("*", SOURCE)

    async def put(self, attributes: Mapping[str, str], headers: Mapping[str, str], data: bytes) -> None:
        self.put_letter("", [*((f"ce_{name}", text) for name, text in attributes.items()), *headers.items()], data)
        await asyncio.sleep(0)

    def put_letter(
        self, key: str, headers: Sequence[tuple[str, str | bytes | None]], data: bytes | None, topic: str = ""
    ) -> None:
        """Publish a message with any headers."""
        self.create_topic(int(self.options["partitions"]), topic)
        producer = Producer(self._config)
        producer.produce(topic or self.topic, data, key or None, headers=[*headers])
        assert producer.flush(30) == 0

    def create_topic(self, partitions: int, topic: str = "") -> None:
        """Make a topic, that of the suite's source unless another is named, if it is not there yet."""
        name = topic or self.topic
        if name not in self.admin.list_topics(timeout=30).topics:
            self.admin.create_topics([NewTopic(name, partitions)])[name].result(30)

    async def dead_letters(self, group: str) -> Sequence[StoredMessage]:
        return [
            StoredMessage({name: text.decode() for name, text in headers_of(each).items()}, each.value() or b"")
            for each in self.read(self.options["dead_letters"].replace("*", group))
        ]

    def read(self, topic: str) -> list[Message]:
        """Return all that is in a topic, partition by partition."""
        consumer = Consumer({**self._config, "group.id": "reading", "enable.auto.commit": False})
        found: list[Message] = []
        try:
            for number in consumer.list_topics(topic, timeout=30).topics[topic].partitions:
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)
                consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING)])
                found += consumer.consume(high - low, 30) if high > low else []
        finally:
            consumer.close()
        return found


def headers_of(message: Message) -> dict[str, Any]:
    return dict(message.headers() or ())


class KafkaOfOurs(KafkaUnderTest):
    wrong_password = WRONG_PASSWORD

    def __init__(self, server: KafkaServer, places: str) -> None:
        super().__init__(f"{server.url}?{places}")
        self.wrong_url = f"{server.wrong_url}&{places}"
        self.stop = server.stop
        self.start = server.start
