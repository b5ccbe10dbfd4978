"""Schedules from end to end, on SQLite."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.schedule_cases import CloseDay, ScheduleCases
from twofold import Tick, every
from twofold.errors import DeclarationError
from twofold.service import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(log=f"sqlite:///{tmp_path}/books.db", views=f"sqlite:///{tmp_path}/books-views.db")


class TestSchedules(ScheduleCases):
    pass


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (lambda: every("0 2 * *", zone="Europe/Berlin", missed="one"), "is no cron expression"),
        (lambda: every("0 2 * * *", zone="Europe/Atlantis", missed="one"), "no time zone 'Europe/Atlantis'"),
        (lambda: every("0 2 * * *", zone="Europe/Berlin"), "say what becomes of times at which nobody is there"),
    ],
)
def test_what_is_no_schedule_is_said_where_it_is_declared(declared: Any, said: str) -> None:
    """Not when it would have ticked for the first time."""

    def tick(tick: Tick) -> list[CloseDay]:
        return []

    with pytest.raises(DeclarationError, match=said):
        declared()(tick)
