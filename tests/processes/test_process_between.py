"""A process whose commands are decided by another service: they leave through the log, and their outcomes come back."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Self

import msgspec

from tests.support.process_cases import instances, parked
from tests.support.waiting import until
from twofold import (
    Accepted,
    Aggregate,
    Command,
    Event,
    Process,
    Refused,
    Rejected,
    Service,
    System,
    Tag,
    decide,
    evolve,
    react,
    replace,
)
from twofold.service import Running
from twofold.testing import running_system

DealId = Annotated[str, Tag("deal")]


class Agree(Command):
    deal: DealId


class Agreed(Event):
    deal: DealId


class Deal(Aggregate, key=DealId):
    @decide
    def agree(self, command: Agree) -> Iterator[Agreed]:
        yield Agreed(deal=command.deal)

    @evolve
    def agreed(self, event: Agreed) -> Self:
        return self


class Put(Command, service="stock"):
    deal: DealId


class Trade(Process, key=DealId, start="first", missing="ignore", ended="ignore"):
    became: str = ""

    @react(starts=True)
    def begin(self, event: Agreed) -> Iterator[Put]:
        yield Put(deal=event.deal)

    @evolve
    def put(self, outcome: Accepted[Put]) -> Self:
        return replace(self, became=f"{self.became}put {outcome.command.deal}")

    @evolve
    def full(self, outcome: Refused[Put]) -> Self:
        return replace(self, became=f"{self.became}{outcome.rejection} {outcome.arguments}")


class Full(Rejected):
    """There is no room for it."""


class PutInStock(Command, name="Put"):
    deal: DealId


class Count(Command):
    deal: DealId


class WasPut(Event):
    deal: DealId


class Counted(Event):
    deal: DealId


class Shelf(Aggregate, key=DealId):
    @decide
    def put(self, command: PutInStock) -> Iterator[WasPut]:
        if command.deal == "large":
            raise Full(10)
        yield WasPut(deal=command.deal)

    @decide
    def count(self, command: Count) -> Iterator[Counted]:
        yield Counted(deal=command.deal)

    @evolve
    def was_put(self, event: WasPut | Counted) -> Self:
        return self


class TradeOfStock(Process, name="Trade", key=DealId, start="first", missing="ignore", ended="ignore"):
    counted: int = 0

    @react(starts=True)
    def begin(self, event: WasPut) -> Iterator[Count]:
        yield Count(deal=event.deal)

    @evolve
    def done(self, outcome: Accepted[Count]) -> Self:
        return replace(self, counted=self.counted + 1)


sales = Service("sales", aggregates=[Deal], processes=[Trade])
stock = Service("stock", aggregates=[Shelf], processes=[TradeOfStock], takes_commands_from=["sales"])


async def state(running: Running, deal: str) -> dict[str, object]:
    rows = await instances(running, f"Trade/deal:{deal}")
    return msgspec.json.decode(rows[0].state, type=dict[str, object]) if rows else {}


async def became(running: Running, deal: str) -> object:
    return (await state(running, deal)).get("became")


def test_the_outcome_of_another_services_command_comes_back(tmp_path: Path) -> None:
    """Accepted or refused, once; a process of the same name there has outcomes of its own, and minds only these."""

    async def scenario() -> None:
        async with running_system(System(sales, stock), tmp_path) as started:
            for deal in ("small", "large"):
                await started["sales"].send(Agree(deal=deal))

            async def are_known() -> bool:
                return all([await became(started["sales"], each) for each in ("small", "large")])

            async def is_counted() -> bool:
                return await state(started["stock"], "small") == {"key": "small", "counted": 1}

            await until(are_known)
            await until(is_counted)
            assert await became(started["sales"], "small") == "put small"
            assert await became(started["sales"], "large") == "Full (10,)"
            for each in started.values():
                assert await parked(each) == []

    asyncio.run(scenario())
