"""Commands that are sent through the log, on PostgreSQL."""

import pytest

from tests.support.carried_commands import CarriedCommands, Places
from twofold.service import Settings


@pytest.fixture
def places(database: str) -> Places:
    return lambda name: Settings(log=f"{database}?schema={name}", views=f"{database}?schema={name}")


class TestCommands(CarriedCommands):
    pass
