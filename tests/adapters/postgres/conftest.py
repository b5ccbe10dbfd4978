from collections.abc import Iterator

import pytest

from tests.support.postgres import PostgresServer, running_server


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL that is as durable as in production: fsync is on."""
    with running_server() as running:
        yield running


@pytest.fixture
def database(server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database."""
    with server.database() as url:
        yield url


@pytest.fixture(scope="session")
def own_server(server: PostgresServer) -> PostgresServer:
    """A server that a test may stop: none that was given by URL."""
    if not server.owned:
        pytest.skip("needs a server of its own to stop, and TWOFOLD_TEST_POSTGRES names somebody's")
    return server
