"""Ids under which a service appends by itself: no client can take one, by accident or to do harm."""

import asyncio
from pathlib import Path

import pytest

from tests.support.relay_race import Leg, Race, Team
from twofold import Service
from twofold.errors import InvalidMessage
from twofold.testing import running, settled

race = Service("race", aggregates=[Team], processes=[Race])


def test_a_client_cannot_take_the_id_of_a_step(tmp_path: Path) -> None:
    """What follows from an event would be taken for recorded. An id that only looks like that of a step is another one."""

    async def scenario() -> None:
        async with running(race, tmp_path) as started:
            with pytest.raises(InvalidMessage, match="as those of the service itself do"):
                await started.send(Leg(team="blue"), id="twofold/process/Race/team:blue/1")
            for position in range(1, 9):
                await started.send(Leg(team="blue"), id=f"process/Race/team:blue/{position}")
            await settled(started)
            assert started.failing() == {}

    asyncio.run(scenario())
