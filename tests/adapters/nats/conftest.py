from collections.abc import Iterator

import pytest

from tests.support.servers.alone import own
from tests.support.servers.nats import NatsServer, running_nats


@pytest.fixture(scope="session")
def server() -> Iterator[NatsServer]:
    """A NATS server that keeps streams in files."""
    with own(running_nats()) as running:
        yield running
