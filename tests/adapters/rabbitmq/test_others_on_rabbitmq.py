"""Programs that know nothing of Twofold publish to its services and read from them; standards say how."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from cloudevents.core.bindings import amqp as cloudevents
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from examples.brokers.labels import Price, PriceOf, Print, labels
from examples.brokers.plain_rabbitmq import tell, wanted
from tests.adapters.rabbitmq.rabbitmq_under_test import RabbitMQUnderTest
from twofold.service import Running

PATIENCE = 60.0


@pytest.fixture
def server(url: str) -> RabbitMQUnderTest:
    return RabbitMQUnderTest(url)


@asynccontextmanager
async def running_labels(url: str) -> AsyncIterator[Running]:
    async with labels.run(log="memory:", views="memory:", transport=url) as running, asyncio.timeout(PATIENCE):
        yield running


async def priced(running: Running, cents: int) -> None:
    """Wait until tea has a price."""
    while await running.ask(PriceOf(item="tea")) != Price(key="tea", cents=cents):
        await asyncio.sleep(0.05)


async def heard(server: RabbitMQUnderTest, message: aio_pika.Message) -> None:
    """Publish something as `prices`."""
    await server.put_message(message, "labels", "prices")


def test_a_plain_program_is_heard_and_hears(server: RabbitMQUnderTest) -> None:
    """With nothing but aio-pika, an id and a type."""
    prices, wants = server.settings.exchange("prices"), server.settings.exchange("labels")

    async def scenario() -> None:
        async with (
            running_labels(server.url) as running,
            aclosing(wanted(server.server, wants, f"{wants}.printer")) as texts,
        ):
            printing = asyncio.ensure_future(anext(texts))
            await server.existing(server.settings.queue("labels", "prices"))
            await tell(server.server, prices, "tea", 349)
            await priced(running, 349)
            await running.send(Print(item="tea", text="Darjeeling"))
            assert await printing == "Darjeeling"

    asyncio.run(scenario())


def test_what_is_published_is_a_cloudevent_to_others(server: RabbitMQUnderTest) -> None:
    """As the SDK of CloudEvents reads it, with the extensions for partitioning and order."""

    async def scenario() -> tuple[AbstractIncomingMessage, str]:
        queue = await server.plain_queue("labels")
        async with running_labels(server.url) as running:
            await running.send(Print(item="tea", text="Grüner Tee"), id="r-1")
            while not (messages := await server.read(queue)):
                await asyncio.sleep(0.05)
            (recorded,) = await running.log.read()
            return messages[0], recorded.id

    message, id = asyncio.run(scenario())
    properties: dict[str, Any] = {"content-type": message.content_type}
    event = cloudevents.from_binary(
        cloudevents.AMQPMessage(properties, {**message.headers}, message.body), JSONFormat()
    )
    assert (event.get_id(), event.get_source(), event.get_type()) == (id, "labels", "LabelWanted")
    assert (event.get_specversion(), event.get_datacontenttype()) == ("1.0", "application/json")
    assert event.get_data() == {"item": "tea", "text": "Grüner Tee"}
    assert event.get_extension("partitionkey") == "item:tea"
    assert (event.get_extension("position"), event.get_extension("after")) == ("1", "0")
    assert (message.message_id, message.type, message.routing_key) == (id, "LabelWanted", "LabelWanted")
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT


def test_what_the_sdk_of_cloudevents_writes_is_heard(server: RabbitMQUnderTest) -> None:
    """Its headers have the other prefix of the binding, and its time is a number of AMQP."""
    at = datetime(2027, 1, 15, 8, tzinfo=UTC)
    attributes = {"id": "7", "source": "prices", "type": "Priced", "specversion": "1.0", "time": at}
    written = cloudevents.to_binary(CloudEvent(attributes, {"item": "tea", "cents": 7}), JSONFormat())

    async def scenario() -> None:
        async with running_labels(server.url) as running:
            headers = {**written.application_properties}
            await heard(server, aio_pika.Message(written.application_data, headers=headers))
            await priced(running, 7)
            (recorded,) = await running.log.read()
            assert (recorded.metadata.source_id, recorded.metadata.source_position) == ("7", 0)

    asyncio.run(scenario())
