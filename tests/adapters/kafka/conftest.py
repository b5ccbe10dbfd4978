"""A real Kafka for each test run."""

import os
from collections.abc import Iterator
from itertools import count

import pytest

from tests.support.servers.sharing import folder_of_run, shared

_numbers = count(1)


@pytest.fixture(scope="session")
def kafka_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a broker that all test processes share."""
    if given := os.environ.get("TWOFOLD_TEST_KAFKA"):
        yield given
        return
    with shared("tests.support.servers.kafka", folder_of_run(tmp_path_factory)) as url:
        yield url


@pytest.fixture
def url(kafka_url: str) -> str:
    """Give the URL of places on it that nobody has used before."""
    place = f"test-{os.getpid()}-{next(_numbers)}"
    return f"{kafka_url}?partitions=3&topic={place}.*.events&dead_letters={place}.*.dead-letters"
