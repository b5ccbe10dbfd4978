"""Ids that derive from keys and from what clients choose: whatever those are, no two things have one id."""

import asyncio
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from examples.bank import Account, Deposit, Deposited
from tests.support.process_cases import instances
from tests.support.relay_race import Leg, Race, Team
from twofold import Command, Service, handle
from twofold.errors import InvalidMessage
from twofold.processes.instances import instance_key
from twofold.testing import running, settled

LONG = "x" * 500


class Elsewhere(Command, service="other"):
    account: str


@handle(start="first")
async def interest(event: Deposited) -> Deposit | None:
    return Deposit(account=event.account, amount=1) if event.amount == 100 else None


bank = Service("bank", aggregates=[Account], handlers=[interest], sends=[Elsewhere])
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


def test_two_keys_are_two_instances(tmp_path: Path) -> None:
    """Also if one is what a long one is cut to, with its digest."""
    cut = f"{LONG[:55]}~{sha256(f'team:{LONG}'.encode()).hexdigest()[:16]}"

    async def scenario() -> None:
        async with running(race, tmp_path) as started:
            await started.send(Leg(team=LONG))
            await started.send(Leg(team=cut))
            await settled(started)
            found = await instances(started, *[f"Race/{each}" for each in (f"team:{cut}", instance_key(f"team:{cut}"))])
            assert len(found) == 2

    asyncio.run(scenario())


def test_what_a_handler_sends_about_a_long_key_is_sent(tmp_path: Path) -> None:
    """There is room for the key in the id of the command."""

    async def scenario() -> None:
        async with running(bank, tmp_path) as started:
            await started.send(Deposit(account=LONG, amount=100))
            await settled(started)
            assert [each.type for each in await started.log.read()].count("Deposited") == 2

    asyncio.run(scenario())


@pytest.mark.parametrize("id", [501 * "i", "a\0b", "a\ud800b"])
def test_an_id_that_is_no_identity_is_refused(tmp_path: Path, id: str) -> None:
    """Where a command goes through the log, so that it can be found by its id there."""

    async def scenario() -> None:
        async with running(bank, tmp_path) as started:
            with pytest.raises(InvalidMessage, match="is no identity"):
                await started.send(Elsewhere(account="ann"), id=id)
            with pytest.raises(InvalidMessage, match="is no identity"):
                await started.send(Deposit(account="ann", amount=1), at=datetime(2100, 1, 1, tzinfo=UTC), id=id)

    asyncio.run(scenario())
