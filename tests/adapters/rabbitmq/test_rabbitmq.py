"""RabbitMQ as a transport, certified by the suite that Twofold ships."""

import pytest

from tests.adapters.rabbitmq.conftest import places
from tests.adapters.rabbitmq.rabbitmq_under_test import RabbitMQOfOurs, RabbitMQUnderTest
from tests.support.servers.rabbitmq import RabbitMQServer
from twofold.testing import BrokerConformance


class TestRabbitMQ(BrokerConformance):
    @pytest.fixture
    def broker(self, broker: RabbitMQUnderTest) -> RabbitMQUnderTest:
        return broker

    @pytest.fixture
    def broker_of_ours(self, own_rabbitmq: RabbitMQServer) -> RabbitMQOfOurs:
        return RabbitMQOfOurs(own_rabbitmq, places())
