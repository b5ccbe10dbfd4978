"""A service says when what it has is new: a path that is wrong looks like one on which nothing has happened yet."""

import asyncio
import logging
from pathlib import Path

import pytest

from examples.bank import Deposit, bank
from twofold.service import Settings


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what has been warned of since it was asked for last."""
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    caplog.clear()
    return messages


def test_an_empty_log_and_empty_views_are_told_with_their_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once there are events and rows, nothing is said any more; with other views, they are new."""

    async def start(views: str = "views", count: int = 1) -> None:
        settings = Settings(log=f"sqlite:///{tmp_path}/bank.db", views=f"sqlite:///{tmp_path}/{views}.db")
        async with bank.run(settings) as service:
            for _ in range(count):
                await service.send(Deposit(account="ann", amount=5))

    asyncio.run(start())
    (empty,) = told(caplog)
    assert empty.startswith(f"bank begins with an empty log at sqlite:///{tmp_path}/bank.db ({tmp_path}/bank.db). If")
    asyncio.run(start())
    assert told(caplog) == []
    asyncio.run(start("others"))
    (views,) = told(caplog)
    assert views.startswith(
        f"bank begins with empty views at sqlite:///{tmp_path}/others.db ({tmp_path}/others.db); they"
    )


def test_nothing_is_said_of_what_is_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    """It is new each time, and meant to be."""

    async def start() -> None:
        async with bank.run(Settings(log="memory:", views="memory:")):
            pass

    asyncio.run(start())
    assert told(caplog) == []
