"""Publishing to Kafka: a batch is confirmed by all replicas in sync, or told as failed."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any, Final

from confluent_kafka import KafkaError, Producer

from twofold.adapters.kafka.failures import Noted, failure, made
from twofold.adapters.kafka.letters import Letter
from twofold.adapters.kafka.settings import KafkaSettings
from twofold.adapters.kafka.thread import SLICE_SECONDS, ClientThread
from twofold.errors import ValueRefused

_KEPT_MESSAGES: Final = 10_000


class Publisher:
    """A producer on a thread of its own. One that has failed is not used again: what it still holds must not come later."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._thread = ClientThread("kafka-producer")
        self._noted = Noted()
        self._failed: list[tuple[KafkaError, Any]] = []
        self._producer: Producer | None = None

    async def publish(self, topic: str, letters: Sequence[Letter]) -> None:
        """Return once all are confirmed.

        Raises:
            BrokerUnavailable: not all of them are.
            ValueRefused: one is larger than the broker takes.
        """
        await self._thread.run(self._publish, topic, letters)

    def _publish(self, topic: str, letters: Sequence[Letter]) -> None:
        self._noted.forget()
        self._failed.clear()
        producer = self._producer or self._opened()
        # Whatever goes wrong from here on, the next attempt begins with a new one.
        self._producer = None
        for letter in letters:
            try:
                _produce(producer, topic, letter)
            except BufferError:
                self._flush(producer, topic, letters)
                _produce(producer, topic, letter)
        self._flush(producer, topic, letters)
        self._producer = producer

    def _opened(self) -> Producer:
        milliseconds = int(self._settings.answer_seconds * 1000)
        config = {
            "acks": "all",
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            # A delivery goes out as soon as all of it is there, which flushing says.
            "linger.ms": 50,
            # A delivery that is larger goes out in portions.
            "queue.buffering.max.messages": _KEPT_MESSAGES,
            "message.timeout.ms": milliseconds,
            # How large a message may be is for the broker to say.
            "message.max.bytes": 1_000_000_000,
            "delivery.report.only.error": True,
            "on_delivery": self._take_note,
            "error_cb": self._noted,
        }
        return made(Producer, self._settings, config)

    def _take_note(self, error: KafkaError, message: Any) -> None:
        self._failed.append((error, message))

    def _flush(self, producer: Producer, topic: str, letters: Sequence[Letter]) -> None:
        deadline = monotonic() + self._settings.answer_seconds
        while producer.flush(SLICE_SECONDS) and not self._failed:
            if self._noted.is_refusal or self._thread.is_ending or monotonic() > deadline:
                raise self._failure(KafkaError(KafkaError._MSG_TIMED_OUT), topic)
        if self._failed:
            error = self._failed[0][0]
            if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                raise _too_large(topic, max((each.value() for _, each in self._failed), key=len), letters)
            raise self._failure(error, topic)

    def _failure(self, error: KafkaError, topic: str) -> Exception:
        return failure(self._settings.url, f"What is published to {topic} is not confirmed", error, self._noted)

    async def close(self) -> None:
        """Let go of connections."""
        await self._thread.end(self._drop)

    def _drop(self) -> None:
        self._producer = None


def _produce(producer: Producer, topic: str, letter: Letter) -> None:
    key, data, headers = letter
    producer.produce(topic, data, key, headers=headers)


def _too_large(topic: str, data: bytes, letters: Sequence[Letter]) -> ValueRefused:
    """Return an error about the largest that was refused; what a client tells of a failure has no headers."""
    headers = next((headers for _, each, headers in letters if each == data), [])
    id = dict(headers).get("ce_id")
    return ValueRefused(
        f"Event {id!r} has {len(data)} bytes, which is more than the topic {topic} takes, so nothing after it is published. "
        "Let the topic take it: kafka-configs.sh --alter --topic … --add-config max.message.bytes=…"
    )
