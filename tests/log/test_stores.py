"""The stores that Twofold brings, certified by the suite that it ships."""

from collections.abc import Callable
from pathlib import Path

import pytest

from twofold.adapters.memory import MemoryStore
from twofold.adapters.sqlite import SqliteStore
from twofold.log import Store
from twofold.testing import LogConformance


class TestMemoryStore(LogConformance):
    @pytest.fixture
    def stores(self) -> Callable[[], Store]:
        store = MemoryStore()
        return lambda: store


class TestSqliteStore(LogConformance):
    @pytest.fixture
    def stores(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: SqliteStore(str(tmp_path / "log.db"))
