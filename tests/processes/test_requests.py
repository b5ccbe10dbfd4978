"""Waiting for what becomes of a command to another service: what ends it, and how it is told."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from tests.processes.ordering import Reserve, both, sales
from tests.processes.reserving import Add
from twofold import Command, Receipt, Rejected
from twofold.errors import NotRunning, RequestTimeout, WrongRole
from twofold.processes import CommandSettled
from twofold.processes.requests import refusal
from twofold.service import Settings

MEMORY = Settings(log="memory:", views="memory:")
NOWHERE = "feed:stock=http://127.0.0.1:9"
TEA = Reserve(item="tea", order="o-1", units=1)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


def test_who_waits_when_the_service_ends_is_told() -> None:
    """At once, and that the command may still be decided."""

    async def scenario() -> None:
        async with sales.run(MEMORY, transport=NOWHERE) as running:
            waiting = asyncio.create_task(running.request(TEA, timeout_seconds=600, id="c-1"))
            while await running.log.head() == 0:
                await asyncio.sleep(0)
        with pytest.raises(NotRunning, match=r"ends, and is told nothing more of Reserve by stock\. .* with id='c-1'"):
            await waiting

    run(scenario)


def test_who_goes_away_leaves_nothing_behind() -> None:
    """Nor does who has waited long enough; others who wait for the same go on."""

    async def scenario() -> None:
        async with both.run(dict.fromkeys(both.services, MEMORY), roles=["commands"]) as services:
            running = services["sales"]
            gone = asyncio.create_task(running.request(TEA, timeout_seconds=600, id="c-1"))
            stays = asyncio.create_task(running.request(TEA, timeout_seconds=0.5, id="c-1"))
            while await running.log.head() == 0:
                await asyncio.sleep(0)
            gone.cancel()
            with pytest.raises(RequestTimeout):
                await stays
            assert gone.cancelled()
            assert not running._requests._waiting

    run(scenario)


def test_many_wait_at_once_for_one_reading_of_the_log() -> None:
    """Each is told of its own outcome."""

    async def scenario() -> None:
        async with both.run(dict.fromkeys(both.services, MEMORY)) as services:
            await services["stock"].send(Add(item="tea", units=150))

            async def request(number: int) -> Receipt | Rejected:
                command = Reserve(item="tea", order=f"o-{number}", units=1)
                try:
                    return await services["sales"].request(command, timeout_seconds=60)
                except Rejected as rejected:
                    return rejected

            outcomes = await asyncio.gather(*map(request, range(200)))
            receipts = {each.position for each in outcomes if isinstance(each, Receipt)}
            assert (len(receipts), sum(isinstance(each, Rejected) for each in outcomes)) == (150, 50)

    run(scenario)


def test_only_who_takes_commands_takes_requests(tmp_path: Path) -> None:
    """A process of another role says where to go."""

    async def scenario() -> None:
        folder = f"sqlite:///{tmp_path}"
        settings = Settings(log=f"{folder}/log.db", views=f"{folder}/views.db", transport=NOWHERE)
        async with sales.run(settings, roles=["processes"]) as running:
            with pytest.raises(WrongRole, match="send commands at one"):
                await running.request(TEA, timeout_seconds=1)

    run(scenario)


def test_a_rejection_that_is_made_otherwise_here_keeps_its_text() -> None:
    """The class of the sender may want other arguments than that of the receiver has."""

    class Gone(Rejected):
        """It is gone."""

        def __init__(self, since: int, until: int) -> None:
            super().__init__(since, until)

    class Fetch(Command, service="depot", rejections=(Gone,)):
        item: str

    settled = CommandSettled(
        id="1", service="shop", command="Fetch", data=msgspec.Raw(b"{}"), rejection="Gone", reason="Not there. (3)",
        arguments=[3],
    )  # fmt: skip
    error = refusal(settled, Fetch)
    assert (type(error).__name__, str(error), error.args) == ("Gone", "Not there. (3)", (3,))
