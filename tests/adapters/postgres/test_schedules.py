"""Schedules from end to end, on PostgreSQL."""

import pytest

from tests.support.schedule_cases import ScheduleCases
from twofold.service import Settings


@pytest.fixture
def settings(database: str) -> Settings:
    return Settings(log=database, views=database)


class TestSchedules(ScheduleCases):
    pass
