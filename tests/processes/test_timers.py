"""Timers from end to end, on SQLite."""

import asyncio
from pathlib import Path

import pytest

from tests.support.timer_cases import START, TimerCases, rung
from tests.support.timer_service import Ring, plain
from tests.support.waiting import until
from twofold.errors import LogUnavailable
from twofold.service import Settings
from twofold.testing import MovableClock
from twofold.views import schema


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(log=f"sqlite:///{tmp_path}/reminders.db", views=f"sqlite:///{tmp_path}/reminders-views.db")


class TestTimers(TimerCases):
    pass


def test_the_first_delayed_command_is_sent_although_a_database_is_away(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who begins to follow timers because there is one now begins when that is possible again."""
    attempts = []

    async def away(*_: object) -> None:
        attempts.append("made")
        raise LogUnavailable("The views are away.")

    async def has_failed_twice() -> bool:
        return len(attempts) >= 2

    async def scenario() -> None:
        clock = MovableClock(START)
        async with plain.run(settings, clock=clock) as running:
            with monkeypatch.context() as patched:
                patched.setattr(schema, "create", away)
                await running.send(Ring(item="tea", label="later"), at=clock.now)
                await until(has_failed_twice)
            await until(lambda: rung(running))
            assert await rung(running) == ["later"]

    asyncio.run(scenario())
