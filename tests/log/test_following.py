"""A follower misses nothing, whatever happens while its read is under way."""

import asyncio
from typing import Any

import pytest

from twofold.adapters.memory import MemoryStore
from twofold.clock import SystemClock
from twofold.log import Criteria, Log, Recorded
from twofold.testing.log_scenarios import by_tag, by_type, event, follow, positions


class AnswersLate(MemoryStore):
    """Others append between its look at the events and its answer."""

    async def read(self, criteria: Criteria, after: int = 0, limit: int = 1000, **how: Any) -> list[Recorded]:
        found = await super().read(criteria, after, limit, **how)
        for _ in range(5):
            await asyncio.sleep(0)
        return found


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_what_is_appended_during_a_read_comes_with_the_next_one(limit: int) -> None:
    """The head that a filtered follower moves on to is one that was known before it looked."""

    async def scenario() -> None:
        log = await Log.open(AnswersLate(), SystemClock())
        asked = (by_tag("x:1"), by_type("A"), by_tag("x:2", types=["B"]))
        following = asyncio.gather(*[follow(log, criteria, 200, limit=limit) for criteria in asked])
        for n in range(200):
            await log.append([event("AB"[n % 2], f"x:{n % 3}")])
        for criteria, seen in zip(asked, await following, strict=True):
            assert seen == positions(await log.read(criteria))
        await log.close()

    asyncio.run(scenario())
