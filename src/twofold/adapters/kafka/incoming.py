"""What comes for a group from the topic of one source: read by one process, without a rebalancing of consumers.

Who reads is decided by the claim of the subscriber's inbox (docs/decisions/0025-one-reader-and-no-rebalancing.md). So all
partitions are assigned here, from where the group has committed; and offsets are committed under the group's name, where
anybody's tools see them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import monotonic
from typing import Any, Final, TypeAlias

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from twofold.adapters.kafka.failures import Noted, failure, made
from twofold.adapters.kafka.letters import content_of, set_aside_letter
from twofold.adapters.kafka.progress import Progress
from twofold.adapters.kafka.publishing import Publisher
from twofold.adapters.kafka.settings import KafkaSettings
from twofold.adapters.kafka.thread import SLICE_SECONDS, ClientThread
from twofold.adapters.kafka.topics import Topics
from twofold.clock import Clock
from twofold.messaging.brokers import Content

KafkaMessage: TypeAlias = "Message[bytes, bytes]"

_TRY_SECONDS: Final = 1.0
_LAG_SECONDS: Final = 10.0
_LONGEST_SESSION_MS: Final = 5_000
_KEPT_KILOBYTES: Final = 16 << 10

_logger = logging.getLogger("twofold.messaging")


class KafkaIncoming:
    """A consumer on a thread of its own."""

    def __init__(
        self, settings: KafkaSettings, clock: Clock, topics: Topics, publisher: Publisher, group: str, source: str
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._topics = topics
        self._publisher = publisher
        self._group = group
        self._source = source
        self._topic = settings.topic(source)
        self._thread = ClientThread("kafka-consumer")
        self._noted = Noted()
        self._progress = Progress()
        self._most_ahead = settings.most_ahead
        self._held_back: set[int] = set()
        self._flaw: KafkaError | None = None
        self._tells_at = 0.0
        self._consumer = made(
            Consumer,
            settings,
            {
                "group.id": group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                # Nobody is a member of the group, so there is no session; but for so long a commit waits for a coordinator.
                "session.timeout.ms": min(int(settings.answer_seconds * 1000), _LONGEST_SESSION_MS),
                # While the broker waits for something to come, it is not told of other partitions to look at.
                "fetch.wait.max.ms": 100,
                # What is fetched ahead and not asked for yet.
                "queued.max.messages.kbytes": _KEPT_KILOBYTES,
                "error_cb": self._noted,
                "on_commit": self._take_note,
            },
        )

    async def open(self) -> None:
        """Begin with what is not settled.

        Raises:
            SettingsError: there is no such topic, or it is not what the URL says.
            BrokerUnavailable: the cluster does not tell.
        """
        await self._topics.check(self._topic)
        await self._thread.run(self._open)

    def _open(self) -> None:
        partitions = [TopicPartition(self._topic, number) for number in range(self._settings.partitions)]
        self._consumer.assign([self._beginning(each) for each in self._committed(partitions)])

    def _committed(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Return where the group is; a cluster that has just started may take a while to know."""
        deadline = monotonic() + self._settings.answer_seconds
        while True:
            try:
                # Without the topic's leaders, which it looks for now, the first message would be a second late.
                self._consumer.list_topics(self._topic, timeout=_TRY_SECONDS)
                found = self._consumer.committed(partitions, timeout=_TRY_SECONDS)
                if flaw := next((each.error for each in found if each.error), None):
                    raise KafkaException(flaw)
                return found
            except KafkaException as error:
                self._consumer.poll(SLICE_SECONDS)
                if self._noted.is_refusal or self._thread.is_ending or monotonic() > deadline:
                    raise self._failure(
                        f"Where {self._group} is in {self._topic} is not told", error.args[0]
                    ) from error

    def _beginning(self, committed: TopicPartition) -> TopicPartition:
        """Return from where to read a partition on: the oldest that there is, if what comes next is not there any more."""
        if committed.offset < 0:
            return TopicPartition(self._topic, committed.partition, OFFSET_BEGINNING)
        low, high = self._range(committed)
        if low <= committed.offset <= high:
            return committed
        _logger.error(
            "%s has read partition %d of %s up to offset %d, and it has those from %d to %d now: messages were removed before "
            "they were read, or the topic was made anew. It is read from the oldest on; of what a log has published, anything "
            "that is missing is told.",
            self._group, committed.partition, self._topic, committed.offset, low, high,
        )  # fmt: skip
        return TopicPartition(self._topic, committed.partition, OFFSET_BEGINNING)

    def _range(self, partition: TopicPartition) -> tuple[int, int]:
        try:
            return self._consumer.get_watermark_offsets(partition, timeout=self._settings.answer_seconds)
        except KafkaException as error:
            raise self._failure(f"What {self._topic} has is not told", error.args[0]) from error

    async def receive(self, most: int, seconds: float) -> Sequence[KafkaMessage]:
        await self._topics.check(self._topic)
        return await self._thread.run(self._receive, most, seconds)

    def _receive(self, most: int, seconds: float) -> list[KafkaMessage]:
        self._hold_back()
        deadline = monotonic() + seconds
        first: Any = None
        while first is None and not self._thread.is_ending and monotonic() < deadline:
            first = self._consumer.poll(SLICE_SECONDS)
            self._check()
        if first is None:
            if self._held_back:
                # What belongs before it may be behind it, as when it was lost and is published again.
                self._most_ahead *= 2
            return []
        messages = [first, *self._consumer.consume(most - 1, 0)]
        for message in messages:
            if flaw := message.error():
                raise self._failure(f"{self._topic} cannot be read", flaw)
        self._progress.received(messages)
        self._tell_lag()
        return messages

    def _hold_back(self) -> None:
        """Let partitions wait that are far ahead of others: those with fewer messages, or on a faster broker."""
        ahead = self._progress.ahead(self._most_ahead)
        if ahead != self._held_back:
            self._consumer.resume([TopicPartition(self._topic, number) for number in self._held_back - ahead])
            self._consumer.pause([TopicPartition(self._topic, number) for number in ahead - self._held_back])
            self._held_back = ahead

    def _tell_lag(self) -> None:
        """Tell how far the group is behind in each partition, as far as the last fetch has said."""
        if monotonic() < self._tells_at or not _logger.isEnabledFor(logging.DEBUG):
            return
        self._tells_at = monotonic() + _LAG_SECONDS
        reached = self._consumer.position(self._consumer.assignment())
        highs = {each.partition: self._consumer.get_watermark_offsets(each, cached=True)[1] for each in reached}
        behind = {each.partition: highs[each.partition] - each.offset for each in reached if each.offset >= 0}
        _logger.debug("%s is behind in %s by so many messages of each partition: %s", self._group, self._topic, behind)

    def _check(self) -> None:
        if self._flaw is not None:
            raise self._failure(f"What {self._group} has read of {self._topic} is not taken note of", self._flaw)
        if self._noted.end is not None:
            raise self._failure(f"{self._topic} cannot be read", self._noted.end)

    def content(self, message: KafkaMessage) -> Content:
        return content_of(message)

    async def set_aside(self, message: KafkaMessage, reason: str) -> str:
        topic = self._settings.dead_letters(self._group)
        await self._topics.make(topic)
        await self._publisher.publish(topic, [set_aside_letter(message, self._source, reason, self._clock.now_us())])
        return f"the topic {topic}"

    async def settle(self, messages: Sequence[KafkaMessage]) -> None:
        if reached := self._progress.settled(messages):
            offsets = [TopicPartition(self._topic, partition, offset) for partition, offset in reached.items()]
            await self._thread.run(self._commit, offsets)

    def _commit(self, offsets: list[TopicPartition]) -> None:
        """Have offsets committed while the next messages are received, which fails if this has.

        What becomes of it need not be waited for: an offset that is not kept makes messages come again, and no more.
        """
        self._consumer.commit(offsets=offsets, asynchronous=True)

    def _take_note(self, error: KafkaError | None, offsets: Sequence[TopicPartition]) -> None:
        self._flaw = error or next((each.error for each in offsets if each.error), None)

    def _failure(self, what: str, error: KafkaError) -> Exception:
        return failure(self._settings.url, what, error, self._noted)

    async def close(self) -> None:
        """Let go of the partitions, so that the next one reads from where this one has committed."""
        await self._thread.end(self._consumer.close)
