"""The log on PostgreSQL, certified by the suite that is shipped."""

from collections.abc import Callable

import pytest

from twofold.adapters.postgres.log import PostgresStore
from twofold.log import LogStore
from twofold.testing import LogConformance


class TestPostgresStore(LogConformance):
    @pytest.fixture
    def stores(self, database: str) -> Callable[[], LogStore]:
        return lambda: PostgresStore(database)
