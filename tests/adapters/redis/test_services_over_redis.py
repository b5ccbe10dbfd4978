"""Services in processes of their own, with Redis between them."""

import pytest

from tests.support.over_a_broker import OverABroker
from tests.support.servers.redis import RedisServer


class TestOverRedis(OverABroker):
    """What holds over every broker."""

    @pytest.fixture
    def url(self, server: RedisServer) -> str:
        return server.places().url
