"""Commands as they are received: from Python as over HTTP, what does not fit its type is refused before it is decided on."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

import pytest

from twofold import Aggregate, Command, Event, Meta, Service, Tag, decide, evolve, replace
from twofold.errors import InvalidMessage
from twofold.messages.identity import LONGEST_IDENTITY
from twofold.testing import given, running

AccountId = Annotated[str, Tag("account")]


class Name(StrEnum):
    ANN = "ann"


class Deposit(Command):
    account: AccountId
    amount: Annotated[int, Meta(gt=0)] = 1
    share: float = 0.0
    notes: tuple[str, ...] = ()
    at: datetime | None = None
    anything: Any = None


class Deposited(Event):
    account: AccountId
    key_type: str
    count: int


class Account(Aggregate, key=AccountId):
    count: int = 0

    @decide
    def deposit(self, command: Deposit) -> Iterator[Deposited]:
        yield Deposited(account=command.account, key_type=type(self.key).__name__, count=self.count)

    @evolve
    def deposited(self, event: Deposited) -> Self:
        return replace(self, count=self.count + 1)


bank = Service("bank", aggregates=[Account])


@pytest.mark.parametrize(
    "command",
    [
        Deposit(account=5),  # type: ignore[arg-type]
        Deposit(account=None),  # type: ignore[arg-type]
        Deposit(account="a\0b"),
        Deposit(account="\ud800"),
        Deposit(account="x" * (LONGEST_IDENTITY + 1)),
        Deposit(account="ann", amount=0),
        Deposit(account="ann", amount=True),
        Deposit(account="ann", amount="5"),  # type: ignore[arg-type]
        Deposit(account="ann", share=float("nan")),
        Deposit(account="ann", notes=["a"]),  # type: ignore[arg-type]
        Deposit(account="ann", anything=("a",)),
        Deposit(account="ann", anything=datetime(2026, 1, 1)),  # noqa: DTZ001
        Deposit(account="ann", anything=object()),
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0],
)
def test_a_command_that_does_not_fit_its_type_is_refused(command: Deposit, tmp_path: Path) -> None:
    """Nothing of it is recorded, in memory as in files."""

    async def scenario() -> None:
        for folder in ((), (tmp_path,)):
            async with running(bank, *folder) as started:
                with pytest.raises(InvalidMessage):
                    await started.send(command)
                assert await started.log.head() == 0

    asyncio.run(scenario())
    with pytest.raises(InvalidMessage):
        given(Account).when(command)


def test_what_is_equal_is_one_identity(tmp_path: Path) -> None:
    """A member of a StrEnum is equal to its text: it is decided on the same state, which has the type of its identity."""

    async def scenario() -> None:
        async with running(bank, tmp_path) as started:
            for account in ("ann", Name.ANN, "ann", Name.ANN):
                await started.send(Deposit(account=account))
            told = [each.data for each in await started.log.read()]
            assert told == [b'{"account":"ann","key_type":"str","count":%d}' % n for n in range(4)]
            assert {each.tags for each in await started.log.read()} == {("account:ann",)}

    asyncio.run(scenario())


def test_what_is_received_equal_is_taken() -> None:
    """A whole number where a float is declared, a time that a zone's clock shows twice."""
    twice = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
    for command in (Deposit(account="ann", share=1), Deposit(account="ann", at=twice), Deposit(account="Ä🙂 ")):
        given(Account).when(command).then(Deposited(account=command.account, key_type="str", count=0))
