"""Event handlers under all that can go wrong, on PostgreSQL."""

import pytest

from tests.support.handled_events import HandledEvents, Places
from tests.support.slow_handlers import SlowHandlers
from twofold.service import Settings


@pytest.fixture
def places(database: str) -> Places:
    return lambda name: Settings(log=database, views=database)


class TestHandledEvents(HandledEvents):
    pass


class TestSlowHandlers(SlowHandlers):
    pass
