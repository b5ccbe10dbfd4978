"""Topics are made, checked and read as order and completeness need it, and what is not so is told with what to do."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.cimpl import NewPartitions

from tests.adapters.kafka.kafka_under_test import KafkaUnderTest
from twofold.clock import Clock, SystemClock
from twofold.errors import LogUnavailable, SettingsError, ValueRefused
from twofold.limits import BrokerLimits, Limits
from twofold.messaging import Delivery, Published, Transport
from twofold.service.adapters import open_transport
from twofold.testing.broker_process import deliveries, event_at

# Of Java's murmur2, as the tests of Kafka's own client have them (UtilsTest).
MURMUR2 = {
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    "abc": 479470107,
}


class HastyClock(SystemClock):
    """A clock by which time has passed whenever a test says so."""

    passed = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.passed


def over(
    url: str,
    scenario: Callable[[Transport], Awaitable[None]],
    clock: Clock | None = None,
    limits: BrokerLimits = BrokerLimits(answer_seconds=10),
) -> None:

    async def whole() -> None:
        transport = open_transport(url, clock or SystemClock(), Limits(broker=limits), ["sales"])
        try:
            async with asyncio.timeout(60):
                await scenario(transport)
        finally:
            await transport.close()

    asyncio.run(whole())


async def publish(transport: Transport, after: int, count: int) -> None:
    for delivery in deliveries(after, count, 100):
        await transport.publish(delivery)


async def read(transport: Transport, up_to: int, after: int = 0) -> list[int]:
    """Return the positions of what comes up to one, and settle it."""
    found: list[int] = []
    async with aclosing(transport.subscribe("ledger", "sales", after)) as subscription:
        while not found or found[-1] < up_to:
            found += [event.position for event in (await anext(subscription)).events]
        settling = asyncio.ensure_future(anext(subscription))
        await asyncio.wait([settling], timeout=0.5)
        settling.cancel()
        await asyncio.wait([settling])
    return found


async def repeated(attempt: Callable[[], Awaitable[object]]) -> None:
    """Do something until it fails: what is there is looked at again beside what goes on."""
    while True:
        await attempt()


def test_a_key_is_in_the_partition_where_java_looks_for_it(url: str) -> None:
    """Kafka Streams and other clients that partition by key can be put beside ours."""
    events = [msgspec.structs.replace(event_at(n), key=key) for n, key in enumerate(MURMUR2, 1)]
    over(url, lambda transport: transport.publish(Delivery("sales", events, len(events))))
    kafka = KafkaUnderTest(url)
    found = {(each.key() or b"").decode(): each.partition() for each in kafka.read(kafka.topic)}
    assert found == {key: (number & 0x7FFFFFFF) % 3 for key, number in MURMUR2.items()}


def test_a_topic_that_may_not_be_made_is_told_with_the_command_that_makes_it(url: str) -> None:
    """Where an operator makes all topics, by create=no."""

    async def scenario(transport: Transport) -> None:
        command = r"kafka-topics\.sh --bootstrap-server \S+ --create --topic \S+\.sales\.events --partitions 3"
        for attempt in (publish(transport, 0, 1), read(transport, 1)):
            with pytest.raises(SettingsError, match=command):
                await attempt
        KafkaUnderTest(url).create_topic(3)
        await publish(transport, 0, 2)
        assert await read(transport, 2) == [1, 2]

    over(f"{url}&create=no", scenario)


def test_another_number_of_partitions_is_refused(url: str) -> None:
    """Keys may have moved, and nobody could tell what belongs before what."""
    KafkaUnderTest(url).create_topic(2)

    async def scenario(transport: Transport) -> None:
        for attempt in (publish(transport, 0, 1), read(transport, 1)):
            with pytest.raises(SettingsError, match=r"has 2 partitions, and 3 are expected.*say partitions=2"):
                await attempt

    over(url, scenario)


def test_partitions_that_are_added_while_it_runs_are_noticed(url: str) -> None:
    """By whoever publishes and by whoever hears."""
    kafka, clock = KafkaUnderTest(url), HastyClock()

    async def scenario(transport: Transport) -> None:
        await publish(transport, 0, 3)
        async with aclosing(transport.subscribe("ledger", "sales", 0)) as subscription:
            await anext(subscription)
            kafka.admin.create_partitions([NewPartitions(kafka.topic, 4)])[kafka.topic].result(30)
            clock.passed += 60
            for attempt in (lambda: publish(transport, 0, 3), lambda: anext(subscription)):
                with pytest.raises(SettingsError, match="has 4 partitions, and 3 are expected"):
                    await repeated(attempt)

    # What one partition has brought before the others waits for these, by the same clock.
    over(url, scenario, clock, BrokerLimits(answer_seconds=10, missing_seconds=3600))


def test_a_topic_that_was_deleted_is_made_again(url: str) -> None:
    """Whoever publishes goes on, and who has heard what was in it hears what comes."""
    kafka, clock = KafkaUnderTest(url), HastyClock()

    async def published(transport: Transport) -> None:
        while True:
            clock.passed += 60
            try:
                return await publish(transport, 3, 6)
            except LogUnavailable:
                await asyncio.sleep(0.1)

    async def scenario(transport: Transport) -> None:
        await publish(transport, 0, 3)
        assert await read(transport, 3) == [1, 2, 3]
        kafka.admin.delete_topics([kafka.topic])[kafka.topic].result(30)
        await published(transport)
        assert await read(transport, 6, after=3) == [4, 5, 6]

    over(url, scenario, clock, BrokerLimits(answer_seconds=2))


def test_what_was_removed_before_it_was_read_is_told_as_missing(url: str) -> None:
    """A retention that was too short is no silent gap; publishing again mends it."""
    kafka = KafkaUnderTest(url)

    async def scenario(transport: Transport) -> None:
        await publish(transport, 0, 100)
        removed = [TopicPartition(kafka.topic, number, 5) for number in range(3)]
        for each in kafka.admin.delete_records(removed).values():
            each.result(30)
        with pytest.raises(LogUnavailable, match="publish-again"):
            await read(transport, 100)
        await publish(transport, 0, 100)
        assert await read(transport, 100) == [*range(1, 101)]

    over(url, scenario, limits=BrokerLimits(missing_seconds=1))


def test_a_group_that_is_where_there_is_nothing_any_more_begins_anew(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As when a topic was deleted and made again: what is there is read, and that is said."""
    kafka = KafkaUnderTest(url)

    async def scenario(transport: Transport) -> None:
        await publish(transport, 0, 9)
        consumer = Consumer({"bootstrap.servers": kafka.servers, "group.id": "ledger"})
        consumer.commit(offsets=[TopicPartition(kafka.topic, each, 1000) for each in range(3)], asynchronous=False)
        consumer.close()
        assert await read(transport, 9) == [*range(1, 10)]

    with caplog.at_level(logging.ERROR):
        over(url, scenario)
    assert "up to offset 1000, and it has those from 0 to" in caplog.text


def test_what_is_settled_can_be_seen_by_anybody(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """The group's offsets are those of the service's name, as `kafka-consumer-groups.sh` shows them; the log can tell, too."""
    kafka = KafkaUnderTest(url)

    async def scenario(transport: Transport) -> None:
        await publish(transport, 0, 40)
        await read(transport, 40)

    with caplog.at_level(logging.DEBUG, "twofold.messaging"):
        over(url, scenario)
    assert f"ledger is behind in {kafka.topic} by so many messages of each partition: {{" in caplog.text
    consumer = Consumer({"bootstrap.servers": kafka.servers, "group.id": "ledger"})
    committed = consumer.committed([TopicPartition(kafka.topic, number) for number in range(3)], timeout=30)
    assert sum(each.offset for each in committed) == 40
    consumer.close()


def test_an_event_that_the_broker_does_not_take_is_named(url: str) -> None:
    """Else nobody would know which; it is published as soon as the topic takes it."""
    large = msgspec.Raw(b'"' + b"x" * 1_200_000 + b'"')
    event = Published("id-large", "sales", "Ordered", 1, "order:1", 2, 5, large)

    async def scenario(transport: Transport) -> None:
        with pytest.raises(ValueRefused, match=r"Event 'id-large' has 12\d{5} bytes.*max\.message\.bytes"):
            await transport.publish(Delivery("sales", [event_at(1), event], 2))
        await publish(transport, 0, 3)
        assert await read(transport, 3) == [1, 2, 3]

    over(url, scenario)


def test_a_delivery_of_any_size_is_published_in_portions(url: str) -> None:
    """The client keeps so many messages and no more, however many a relay hands over at once."""

    async def scenario(transport: Transport) -> None:
        for delivery in deliveries(0, 25_000, 25_000):
            await transport.publish(delivery)
        assert await read(transport, 25_000) == [*range(1, 25_001)]

    over(url, scenario)


def test_partitions_with_little_in_them_wait_for_those_with_much(url: str) -> None:
    """Else all that is in the small ones would be kept in memory until the large one is read, however large that is."""
    limits = BrokerLimits(early_events=600, batch_events=100)
    large, *small = ["21", "a-little-bit-long-string", "a-little-bit-longer-string"]
    keys = [large] * 38 + small
    events = [msgspec.structs.replace(event_at(n), key=keys[n % len(keys)]) for n in range(1, 60_001)]

    async def scenario(transport: Transport) -> None:
        for begin in range(0, len(events), 5_000):
            await transport.publish(Delivery("sales", events[begin : begin + 5_000], begin + 5_000, begin))
        assert await read(transport, len(events)) == [*range(1, len(events) + 1)]

    over(url, scenario, limits=limits)


def test_what_is_published_again_is_found_behind_what_waits_for_it(url: str) -> None:
    """A partition that waits for others goes on when nothing comes of them: what is lacking may be in itself."""
    kafka, limits = KafkaUnderTest(url), BrokerLimits(early_events=600, batch_events=100)
    events = [msgspec.structs.replace(event_at(n), key="21") for n in range(1, 301)]

    async def scenario(transport: Transport) -> None:
        await transport.publish(Delivery("sales", events, 300))
        kafka.admin.delete_records([TopicPartition(kafka.topic, 0, 5)])[TopicPartition(kafka.topic, 0)].result(30)
        await transport.publish(Delivery("sales", events, 300))
        assert await read(transport, 300) == [*range(1, 301)]

    over(url, scenario, limits=limits)


@pytest.mark.parametrize(
    ("rest", "told"),
    [
        ("one/path", "nothing stands after the servers"),
        ("one?security=tls", "security has to be one of plaintext, ssl"),
        ("one?create=maybe", "create has to be one of yes, no"),
        ("one?mechanism=GSSAPI", "mechanism has to be one of PLAIN"),
        ("one?partitions=0", "partitions has to be a whole number from 1"),
        ("one?topics=x", "there is no option 'topics'. Known are: ca, certificate, create, dead_letters, key"),
        ("one?ca=/no-such.pem", r"there is no file /no-such\.pem, which ca names"),
        ("?create=no", "does not say which server"),
    ],
)
def test_a_url_that_cannot_be_meant_is_told_with_one_that_can(rest: str, told: str) -> None:
    """Before anything is connected to."""
    with pytest.raises(SettingsError, match=rf"{told}.*For example kafka://"):
        open_transport(f"kafka://{rest}", SystemClock(), Limits(), [])
