"""Commands that are sent through the log, in memory and in SQLite files."""

from pathlib import Path

import pytest

from tests.support.carried_commands import CarriedCommands, Places
from twofold.service import Settings
from twofold.testing.services import MEMORY


@pytest.fixture(params=["memory", "sqlite"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    if request.param == "memory":
        return lambda name: MEMORY
    return lambda name: Settings(log=f"sqlite:///{tmp_path / name}.db", views=f"sqlite:///{tmp_path / name}-views.db")


class TestCommands(CarriedCommands):
    pass
