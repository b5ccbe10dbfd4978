"""What a service does without being asked is missed by nobody at once, so that it ended is said."""

import asyncio

import pytest

from examples.bank import bank
from twofold.followers import Coordinator


def test_what_ends_in_the_background_on_an_error_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Views would stand still, and nothing would say why."""

    async def fail(self: Coordinator) -> None:
        raise RuntimeError("a clock that cannot be waited by")

    monkeypatch.setattr(Coordinator, "run", fail)

    async def scenario() -> None:
        async with bank.run(log="memory:", views="memory:"):
            while not caplog.records:
                await asyncio.sleep(0)

    asyncio.run(scenario())
    assert "bank follows no longer, until it is started again." in caplog.text
    assert "RuntimeError: a clock that cannot be waited by" in caplog.text
