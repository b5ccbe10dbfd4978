"""Processes from end to end, on SQLite."""

from pathlib import Path

import pytest

from tests.support.process_cases import KilledProcessCases, ProcessCases
from twofold.service import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(log=f"sqlite:///{tmp_path}/shop.db", views=f"sqlite:///{tmp_path}/shop-views.db")


class TestProcesses(ProcessCases):
    pass


class TestKilledProcesses(KilledProcessCases):
    pass
