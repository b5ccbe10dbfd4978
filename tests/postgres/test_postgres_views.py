"""Views on PostgreSQL, certified by the suite that is shipped."""

from collections.abc import Callable

import pytest

from twofold.adapters.postgres.views import PostgresViews
from twofold.clock import SystemClock
from twofold.testing import ViewConformance
from twofold.views import ViewStore


class TestPostgresViews(ViewConformance):
    @pytest.fixture
    def stores(self, database: str) -> Callable[[], ViewStore]:
        return lambda: PostgresViews(database, SystemClock())
