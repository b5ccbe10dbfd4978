"""A database that is none of ours is as good as ours, if it passes the suites that ours pass."""

import sqlite3
from collections.abc import Callable, Iterator

import pytest

from tests.adapters.other.other_views import OtherViews
from twofold.clock import SystemClock
from twofold.testing import ViewConformance
from twofold.views import ViewStore


class TestOtherViews(ViewConformance):
    @pytest.fixture
    def stores(self) -> Iterator[Callable[[], ViewStore]]:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        yield lambda: OtherViews(connection, SystemClock())
        connection.close()
