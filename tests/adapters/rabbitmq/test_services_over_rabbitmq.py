"""Services in processes of their own, with RabbitMQ between them."""

import pytest

from examples.shop import shop
from tests.adapters.rabbitmq.conftest import places
from tests.support.over_a_broker import OverABroker

SUBSCRIBERS = ",".join(
    f"{source}:{name}" for name, service in shop.services.items() for source in service.declaration.sources
)


class TestOverRabbitMQ(OverABroker):
    """What holds over every broker."""

    @pytest.fixture
    def url(self, rabbitmq_url: str) -> str:
        """Give a URL that is the same for all services, and says who of the shop hears whom, as they start in any order."""
        return f"{rabbitmq_url}?{places(SUBSCRIBERS)}"
