"""Services in processes of their own, with RabbitMQ between them."""

from tests.support.over_a_broker import OverABroker


class TestOverRabbitMQ(OverABroker):
    """What holds over every broker."""
