"""The views' databases that Twofold brings, certified by the suite that it ships."""

from collections.abc import Callable
from pathlib import Path

import pytest

from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import SystemClock
from twofold.testing import ViewConformance
from twofold.views import ViewStore


class TestSqliteFile(ViewConformance):
    @pytest.fixture
    def stores(self, tmp_path: Path) -> Callable[[], ViewStore]:
        return lambda: SqliteViews(str(tmp_path / "views.db"), SystemClock())


class TestSqliteMemory(ViewConformance):
    @pytest.fixture
    def stores(self) -> Callable[[], ViewStore]:
        store = SqliteViews(":memory:", SystemClock())
        return lambda: store
