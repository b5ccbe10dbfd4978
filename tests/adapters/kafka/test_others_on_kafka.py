"""Programs that know nothing of Twofold publish to its services and read from them; standards say how."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from cloudevents.core.bindings import kafka as cloudevents
from cloudevents.core.formats.json import JSONFormat

from examples.brokers.labels import Price, PriceOf, Print, labels
from examples.brokers.plain_kafka import tell, wanted
from tests.adapters.kafka.kafka_under_test import KafkaUnderTest, headers_of
from tests.support.serving import ROOT
from twofold.service import Running

PATIENCE = 60.0


@asynccontextmanager
async def running_labels(url: str) -> AsyncIterator[Running]:
    async with labels.run(log="memory:", views="memory:", transport=url) as running, asyncio.timeout(PATIENCE):
        yield running


def topic_of(kafka: KafkaUnderTest, source: str) -> str:
    return kafka.options["topic"].replace("*", source)


async def price(running: Running, is_right: Callable[[Price | None], bool]) -> Price | None:
    """Return the price of tea once it is right."""
    while not is_right(found := await running.ask(PriceOf(item="tea"))):
        await asyncio.sleep(0.05)
    return found


def test_a_plain_program_is_heard_and_hears(url: str) -> None:
    """With nothing but confluent-kafka, an id and a type."""
    kafka = KafkaUnderTest(url)

    async def scenario() -> None:
        kafka.create_topic(3, topic_of(kafka, "prices"))
        async with running_labels(url) as running:
            await asyncio.to_thread(tell, kafka.servers, topic_of(kafka, "prices"), "tea", 349)
            await price(running, lambda found: found == Price(key="tea", cents=349))
            await running.send(Print(item="tea", text="Darjeeling"))
            texts = wanted(kafka.servers, await existing(kafka, topic_of(kafka, "labels")))
            assert await asyncio.to_thread(next, texts) == "Darjeeling"
            await asyncio.to_thread(texts.close)  # type: ignore[attr-defined]

    asyncio.run(scenario())


async def existing(kafka: KafkaUnderTest, topic: str) -> str:
    """Return a topic as soon as it is there."""
    while topic not in await asyncio.to_thread(lambda: kafka.admin.list_topics(timeout=30).topics):
        await asyncio.sleep(0.05)
    return topic


def test_a_program_with_faststream_is_heard_and_hears(url: str) -> None:
    """It is run as its users run it."""
    kafka = KafkaUnderTest(url)
    prices, wanted_labels = (topic_of(kafka, source) for source in ("prices", "labels"))
    environment = {**os.environ, "KAFKA": kafka.servers, "PRICES": prices, "LABELS": wanted_labels}

    async def scenario() -> None:
        kafka.create_topic(3, prices)
        kafka.create_topic(3, wanted_labels)
        async with running_labels(url) as running:
            await running.send(Print(item="tea", text="Assam"))
            await price(running, lambda found: found == Price(key="tea", cents=500))

    command = [sys.executable, "-m", "faststream", "run", "examples.brokers.faststream_kafka:app"]
    program = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        asyncio.run(scenario())
    finally:
        program.send_signal(signal.SIGKILL)
        program.wait()


def test_an_outbox_of_debezium_is_heard(url: str) -> None:
    """Its event router writes a header `id`, the aggregate's id as the key, and whatever columns it is told to as headers."""
    kafka = KafkaUnderTest(url)
    prices = topic_of(kafka, "prices")

    async def scenario() -> None:
        kafka.create_topic(3, prices)
        async with running_labels(url) as running:
            for id, cents in (("1", 1), ("2", 2), ("2", 2)):
                headers: list[tuple[str, str | bytes | None]] = [("id", id), ("eventType", "Priced"), ("unset", None)]
                kafka.put_letter("tea", headers, b'{"item": "tea", "cents": %d}' % cents, prices)
            await price(running, lambda found: found == Price(key="tea", cents=2))
            first, second = await running.log.read()
            assert (first.metadata.source_id, second.metadata.source_id) == ("1", "2")
            assert first.metadata.source_position == 0

    asyncio.run(scenario())


def test_what_is_published_is_a_cloudevent_to_others(url: str) -> None:
    """As the SDK of CloudEvents reads it, with the extensions for partitioning and order."""
    kafka = KafkaUnderTest(url)

    async def scenario() -> None:
        async with running_labels(url) as running:
            await running.send(Print(item="tea", text="Grüner Tee"), id="r-1")
            await existing(kafka, topic_of(kafka, "labels"))
            while not (messages := await asyncio.to_thread(kafka.read, topic_of(kafka, "labels"))):
                await asyncio.sleep(0.05)
            (recorded,) = await running.log.read()
        message = cloudevents.KafkaMessage(headers_of(messages[0]), messages[0].key(), messages[0].value() or b"")
        event = cloudevents.from_binary(message, JSONFormat())
        assert (event.get_id(), event.get_source(), event.get_type()) == (recorded.id, "labels", "LabelWanted")
        assert event.get_specversion() == "1.0"
        assert event.get_datacontenttype() == "application/json"
        assert event.get_data() == {"item": "tea", "text": "Grüner Tee"}
        assert event.get_extension("partitionkey") == "item:tea"
        assert (event.get_extension("position"), event.get_extension("after")) == ("1", "0")

    asyncio.run(scenario())


@pytest.mark.parametrize("given", [b"\xff\xfe", b"\x80"])
def test_a_header_that_is_no_text_is_no_event(url: str, given: bytes) -> None:
    """It is set aside with what it was, to the byte, and what comes after it is heard."""
    kafka = KafkaUnderTest(url)
    prices = topic_of(kafka, "prices")

    async def scenario() -> None:
        kafka.create_topic(3, prices)
        kafka.put_letter("tea", [("ce_id", given), ("ce_type", "Priced")], b"{}", prices)
        kafka.put_letter("tea", [("ce_id", "1"), ("ce_type", "Priced")], b'{"item": "tea", "cents": 5}', prices)
        async with running_labels(url) as running:
            await price(running, lambda found: found == Price(key="tea", cents=5))

    asyncio.run(scenario())
    (kept,) = kafka.read(kafka.options["dead_letters"].replace("*", "labels"))
    found = headers_of(kept)
    assert (kept.key(), kept.value(), found["ce_id"]) == (b"tea", b"{}", given)
    assert found["twofold-place"].decode().startswith(f"{prices}/")
