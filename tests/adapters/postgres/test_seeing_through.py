"""Processes from end to end, on PostgreSQL."""

import pytest

from tests.support.process_cases import KilledProcessCases, ProcessCases
from twofold.service import Settings


@pytest.fixture
def settings(database: str) -> Settings:
    return Settings(log=database, views=database)


class TestProcesses(ProcessCases):
    pass


class TestKilledProcesses(KilledProcessCases):
    pass
