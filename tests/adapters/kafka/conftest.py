"""A real Kafka for each test run, and one for each module that has to stop it."""

import os
from collections.abc import Iterator
from itertools import count

import pytest

from tests.support.servers.kafka import KafkaServer, running_kafka
from tests.support.servers.sharing import NoServer, folder_of_run, give_up, shared

_numbers = count(1)


@pytest.fixture(scope="session")
def kafka_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a broker that all test processes share."""
    if given := os.environ.get("TWOFOLD_TEST_KAFKA"):
        yield given
        return
    with shared("tests.support.servers.kafka", folder_of_run(tmp_path_factory)) as url:
        yield url


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[KafkaServer]:
    """Give a broker that the tests of a module may stop."""
    try:
        with running_kafka() as server:
            yield server
    except NoServer as reason:
        give_up(reason)


def places() -> str:
    """Return options of a URL by which it leads to topics that nobody has used before."""
    place = f"test-{os.getpid()}-{next(_numbers)}"
    return f"partitions=3&topic={place}.*.events&dead_letters={place}.*.dead-letters"


@pytest.fixture
def url(kafka_url: str) -> str:
    """Give the URL of topics that nobody has used before."""
    return f"{kafka_url}?{places()}"
