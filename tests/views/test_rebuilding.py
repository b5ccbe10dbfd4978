"""A view that is rebuilt answers all the while, and is what its events make of it in the end."""

import asyncio
from pathlib import Path

from tests.support.tallies import rebuilt_under_load
from twofold.service import Settings


def files(folder: Path) -> Settings:
    return Settings(log=f"sqlite:///{folder}/log.db", views=f"sqlite:///{folder}/views.db")


def test_a_view_is_rebuilt_while_commands_arrive_and_queries_run(tmp_path: Path) -> None:
    """None of them fails or goes back in time, receipts are kept, and at the end the rows are those of a fresh fold."""
    asyncio.run(rebuilt_under_load(files(tmp_path)))
