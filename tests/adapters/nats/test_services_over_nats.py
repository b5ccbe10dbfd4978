"""Services in processes of their own, with NATS between them."""

import pytest

from tests.support.over_a_broker import OverABroker
from tests.support.servers.nats import NatsServer


class TestOverNats(OverABroker):
    """What holds over every broker."""

    @pytest.fixture
    def url(self, server: NatsServer) -> str:
        return server.places().url
