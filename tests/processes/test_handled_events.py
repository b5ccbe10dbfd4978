"""Event handlers under all that can go wrong, in SQLite files."""

from pathlib import Path

import pytest

from tests.support.handled_events import HandledEvents, Places
from tests.support.slow_handlers import SlowHandlers
from twofold.service import Settings


@pytest.fixture
def places(tmp_path: Path) -> Places:
    kept = Settings(log=f"sqlite:///{tmp_path}/bank.db", views=f"sqlite:///{tmp_path}/bank-views.db")
    return lambda name: kept


class TestHandledEvents(HandledEvents):
    pass


class TestSlowHandlers(SlowHandlers):
    pass
