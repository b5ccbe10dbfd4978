"""Timers from end to end, on PostgreSQL."""

import pytest

from tests.support.timer_cases import TimerCases
from twofold.service import Settings


@pytest.fixture
def settings(database: str) -> Settings:
    return Settings(log=database, views=database)


class TestTimers(TimerCases):
    pass
