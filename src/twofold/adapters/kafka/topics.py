"""Topics: made where there are none, and checked to be what order within keys relies on."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from twofold.adapters.kafka.failures import Noted, failure, made
from twofold.adapters.kafka.settings import KafkaSettings
from twofold.clock import Clock
from twofold.errors import BrokerUnavailable, SettingsError

_CHECK_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.1
_FOREVER = {"retention.ms": "-1", "cleanup.policy": "delete"}


class Topics:
    """What there is on a cluster. A topic is looked at again after some time, as anybody may change it meanwhile."""

    def __init__(self, settings: KafkaSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._noted = Noted()
        self._admin: AdminClient | None = None
        self._found: dict[str, int] = {}
        self._looked_at: dict[str, float] = {}
        self._looking: dict[str, asyncio.Task[None]] = {}

    async def check(self, topic: str) -> None:
        """Check that a source's topic is there, with as many partitions as the URL says; make it if there is none.

        Raises:
            SettingsError: it is not, and may not be made, or it has another number of partitions.
            BrokerUnavailable: the cluster does not tell.
        """
        if topic not in self._found:
            await self._look(topic, self._settings.partitions)
        elif self._clock.monotonic() - self._looked_at[topic] > _CHECK_SECONDS:
            self._look_again(topic)
        if self._found.get(topic) != self._settings.partitions:
            raise SettingsError(self._changed(topic, self._found.pop(topic)))

    async def make(self, topic: str) -> None:
        """Make a topic with one partition if there is none of this name.

        Raises:
            SettingsError: there is none, and it may not be made.
            BrokerUnavailable: the cluster does not tell.
        """
        if topic not in self._found:
            await self._look(topic, 1)

    async def _look(self, topic: str, wanted: int) -> None:
        found = await self._made(topic, wanted)
        self._looked_at[topic], self._found[topic] = self._clock.monotonic(), found

    def _look_again(self, topic: str) -> None:
        """Look beside what goes on: a cluster that has just lost a broker may take long to say what has not changed."""
        self._looked_at[topic] = self._clock.monotonic()
        self._looking[topic] = asyncio.create_task(self._update(topic))

    async def _update(self, topic: str) -> None:
        with suppress(BrokerUnavailable, SettingsError):
            if found := await self._partitions(topic):
                self._found[topic] = found
            else:
                # It was deleted, and is made again by the next check.
                self._found.pop(topic, None)

    async def close(self) -> None:
        """Look at nothing any more."""
        for looking in self._looking.values():
            looking.cancel()
        await asyncio.gather(*self._looking.values(), return_exceptions=True)

    async def _made(self, topic: str, partitions: int) -> int:
        """Return how many partitions a topic has; if there is none, make it with so many."""
        if found := await self._partitions(topic):
            return found
        if not self._settings.creates:
            raise SettingsError(f"{self._settings.url}: there is no topic {topic}. {self._command(topic, partitions)}")
        await self._create(topic, partitions)
        return await self._partitions(topic) or partitions

    async def _partitions(self, topic: str) -> int:
        try:
            asked = self._client.describe_topics(
                TopicCollection([topic]), request_timeout=self._settings.answer_seconds
            )
            return len((await self._answer(asked[topic])).partitions)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return 0
            raise failure(
                self._settings.url, f"The topic {topic} cannot be looked at", error.args[0], self._noted
            ) from error

    async def _create(self, topic: str, partitions: int) -> None:
        wanted = NewTopic(topic, partitions, self._settings.replication, config=_FOREVER)
        try:
            made = self._client.create_topics([wanted], request_timeout=self._settings.answer_seconds)
            await self._answer(made[topic])
        except KafkaException as error:
            cause: KafkaError = error.args[0]
            if cause.code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return
            if cause.retriable() or self._noted.last:
                raise failure(self._settings.url, f"The topic {topic} cannot be made", cause, self._noted) from error
            raise SettingsError(
                f"{self._settings.url}: the topic {topic} cannot be made: {cause.str()}. {self._command(topic, partitions)}"
            ) from error

    async def _answer(self, asked: Future[Any]) -> Any:
        """Return what the cluster answers; whom it does not let in it need not be waited for."""
        self._noted.forget()
        answer = asyncio.wrap_future(asked)
        while not answer.done():
            await asyncio.wait([answer], timeout=_LOOK_SECONDS)
            self._client.poll(0)
            if self._noted.is_refusal and self._noted.last is not None:
                raise KafkaException(self._noted.last)
        return answer.result()

    @property
    def _client(self) -> AdminClient:
        if self._admin is None:
            self._admin = made(AdminClient, self._settings, {"error_cb": self._noted})
        return self._admin

    def _command(self, topic: str, partitions: int) -> str:
        servers, replication = ",".join(self._settings.url.servers), self._settings.replication
        factor = f" --replication-factor {replication}" if replication > 0 else ""
        keeping = " ".join(f"--config {name}={value}" for name, value in _FOREVER.items())
        return (
            f"Make it: kafka-topics.sh --bootstrap-server {servers} --create --topic {topic} --partitions {partitions}"
            f"{factor} {keeping}"
        )

    def _changed(self, topic: str, found: int) -> str:
        said = self._settings.partitions
        return (
            f"{self._settings.url}: the topic {topic} has {found} partitions, and {said} are expected. If it has had {found} "
            f"from the beginning, say partitions={found} in the URL of every service. If it was changed from {said}, keys are "
            "in other partitions now, and their order is lost for who reads them by partition: make another topic, name it by "
            "topic= in the URL, and publish everything again: twofold publish-again module:service."
        )
