from collections.abc import Iterator

import pytest

from tests.support.servers.alone import own
from tests.support.servers.redis import RedisServer, running_redis


@pytest.fixture(scope="session")
def server() -> Iterator[RedisServer]:
    """A Redis that keeps what is written in a file."""
    with own(running_redis()) as running:
        yield running
