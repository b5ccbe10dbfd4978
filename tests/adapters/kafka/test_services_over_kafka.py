"""Services in processes of their own, with Kafka between them."""

from tests.support.over_a_broker import OverABroker


class TestOverKafka(OverABroker):
    """What holds over every broker."""
