"""Timers from end to end, on SQLite."""

from pathlib import Path

import pytest

from tests.support.timer_cases import TimerCases
from twofold.service import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(log=f"sqlite:///{tmp_path}/reminders.db", views=f"sqlite:///{tmp_path}/reminders-views.db")


class TestTimers(TimerCases):
    pass
