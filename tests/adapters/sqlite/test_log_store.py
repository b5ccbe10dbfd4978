"""The log in a SQLite file, certified by the suite that is shipped."""

from collections.abc import Callable
from pathlib import Path

import pytest

from twofold.adapters.sqlite import SqliteStore
from twofold.log import LogStore
from twofold.testing import LogConformance


class TestSqliteStore(LogConformance):
    @pytest.fixture
    def stores(self, tmp_path: Path) -> Callable[[], LogStore]:
        return lambda: SqliteStore(str(tmp_path / "log.db"))
