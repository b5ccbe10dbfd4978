"""A real RabbitMQ for each test run, and one for each module that has to stop it."""

import asyncio
import os
from collections.abc import Iterator
from itertools import count

import pytest

from tests.adapters.rabbitmq.rabbitmq_under_test import RabbitMQUnderTest
from tests.support.servers.rabbitmq import RabbitMQServer, running_rabbitmq
from tests.support.servers.sharing import NoServer, folder_of_run, give_up, shared

_numbers = count(1)


@pytest.fixture(scope="session")
def rabbitmq_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a server that all test processes share."""
    if given := os.environ.get("TWOFOLD_TEST_RABBITMQ"):
        yield given
        return
    with shared("tests.support.servers.rabbitmq", folder_of_run(tmp_path_factory)) as url:
        yield url


@pytest.fixture(scope="module")
def own_rabbitmq() -> Iterator[RabbitMQServer]:
    """Give a server that the tests of a module may stop."""
    try:
        with running_rabbitmq() as server:
            yield server
    except NoServer as reason:
        give_up(reason)


def places(subscribers: str = "ledger,stock") -> str:
    """Return options of a URL by which it leads to exchanges and queues that nobody has used before."""
    place = f"test-{os.getpid()}-{next(_numbers)}"
    return f"exchange={place}.*.events&dead_letters={place}.*.dead-letters&subscribers={subscribers}"


@pytest.fixture
def broker(rabbitmq_url: str) -> Iterator[RabbitMQUnderTest]:
    """Give exchanges and queues that nobody has used before."""
    broker = RabbitMQUnderTest(f"{rabbitmq_url}?{places()}")
    yield broker
    asyncio.run(broker.clear())


@pytest.fixture
def url(rabbitmq_url: str) -> str:
    """Give the URL of exchanges and queues that nobody has used before; each service makes the queues that it reads."""
    return f"{rabbitmq_url}?{places('')}"
