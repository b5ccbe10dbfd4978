"""Kafka as a transport, certified by the suite that Twofold ships."""

import asyncio
from contextlib import aclosing

import pytest

from tests.adapters.kafka.conftest import places
from tests.adapters.kafka.kafka_under_test import KafkaOfOurs, KafkaUnderTest
from tests.support.servers.kafka import KafkaServer
from twofold.clock import SystemClock
from twofold.errors import LogUnavailable
from twofold.limits import BrokerLimits, Limits
from twofold.service.adapters import open_transport
from twofold.testing import BrokerConformance
from twofold.testing.broker_process import deliveries
from twofold.testing.transport_conformance import SOURCE


class TestKafka(BrokerConformance):
    tells_redelivery = False

    @pytest.fixture
    def broker(self, url: str) -> KafkaUnderTest:
        return KafkaUnderTest(url)

    @pytest.fixture
    def broker_of_ours(self, own_kafka: KafkaServer) -> KafkaOfOurs:
        return KafkaOfOurs(own_kafka, places())


def test_a_broker_that_does_not_answer_is_told_in_time_and_used_again(own_kafka: KafkaServer) -> None:
    """It takes connections and keeps silent; what was not confirmed is published again, and comes once."""
    limits = Limits(broker=BrokerLimits(answer_seconds=2))
    first, second = deliveries(0, 20, 10)

    async def scenario() -> None:
        transport = open_transport(f"{own_kafka.url}?{places()}", SystemClock(), limits, [SOURCE])
        await transport.publish(first)
        own_kafka.hang()
        try:
            with pytest.raises(LogUnavailable, match=r"What is published to \S+ is not confirmed by Kafka at kafka://"):
                await transport.publish(second)
        finally:
            own_kafka.go_on()
        await transport.publish(second)
        positions: list[int] = []
        async with aclosing(transport.subscribe("ledger", SOURCE, 0)) as subscription:
            while not positions or positions[-1] < 20:
                positions += [event.position for event in (await anext(subscription)).events]
        assert positions == [*range(1, 21)]
        await transport.close()

    asyncio.run(scenario())


def test_who_knows_the_password_is_let_in(own_kafka: KafkaServer) -> None:
    """By the user and the password of the URL, in which what is special in URLs is quoted."""

    async def scenario() -> None:
        transport = open_transport(f"{own_kafka.sasl_url}&{places()}", SystemClock(), Limits(), [SOURCE])
        for delivery in deliveries(0, 3, 3):
            await transport.publish(delivery)
        async with aclosing(transport.subscribe("ledger", SOURCE, 0)) as subscription:
            heard: list[int] = []
            while len(heard) < 3:
                heard += [event.position for event in (await anext(subscription)).events]
            assert heard == [1, 2, 3]
        await transport.close()

    asyncio.run(scenario())
