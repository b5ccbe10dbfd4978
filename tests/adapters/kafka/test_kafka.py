"""Kafka as a transport, certified by the suite that Twofold ships."""

import pytest

from tests.adapters.kafka.conftest import places
from tests.adapters.kafka.kafka_under_test import KafkaOfOurs, KafkaUnderTest
from tests.support.servers.kafka import KafkaServer
from twofold.testing import BrokerConformance


class TestKafka(BrokerConformance):
    tells_redelivery = False

    @pytest.fixture
    def broker(self, url: str) -> KafkaUnderTest:
        return KafkaUnderTest(url)

    @pytest.fixture
    def broker_of_ours(self, own_kafka: KafkaServer) -> KafkaOfOurs:
        return KafkaOfOurs(own_kafka, places())
