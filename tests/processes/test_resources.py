"""Resources of event handlers: opened with the service, replaced by tests, closed after all that works with them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from examples.bank import Account, Deposit, Deposited
from tests.support.waiting import until
from twofold import Service, System, handle
from twofold.errors import DeclarationError, SettingsError
from twofold.service import Settings
from twofold.testing.services import MEMORY

HAPPENED: list[str] = []


class Mailer:
    name = "the real mailer"


class Printer:
    name = "the real printer"


def opening(resource: Any, what: str) -> Callable[[], AbstractAsyncContextManager[Any]]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        HAPPENED.append(f"{what} opened")
        yield resource
        HAPPENED.append(f"{what} closed")

    return opened


@handle(start="first")
async def tell(event: Deposited, mailer: Mailer, *, printer: Printer) -> None:
    HAPPENED.append(f"told by {mailer.name} and {printer.name}")
    await asyncio.sleep(0.05)
    HAPPENED.append("done")


bank = Service(
    "bank",
    aggregates=[Account],
    handlers=[tell],
    resources={Mailer: opening(Mailer(), "mailer"), Printer: opening(Printer(), "printer")},
)


class FakeMailer(Mailer):
    name = "another mailer"


async def has_told() -> bool:
    return any(each.startswith("told") for each in HAPPENED)


@pytest.fixture(autouse=True)
def _nothing_happened() -> None:
    HAPPENED.clear()


def test_what_is_given_is_opened_instead_and_all_is_closed_in_reverse() -> None:
    """The handler that is under way when the service ends comes to its end before that."""

    async def scenario() -> None:
        async with bank.run(MEMORY, resources={Mailer: opening(FakeMailer(), "fake")}) as running:
            await running.send(Deposit(account="ann", amount=1))
            await until(has_told)

    asyncio.run(scenario())
    assert HAPPENED == [
        "fake opened", "printer opened", "told by another mailer and the real printer", "done", "printer closed",
        "fake closed",
    ]  # fmt: skip


def test_the_services_of_a_system_are_given_their_own() -> None:
    """By the names of the services; a name that is none of theirs is told."""

    async def scenario() -> None:
        given = {"bank": {Mailer: opening(FakeMailer(), "fake")}}
        async with System(bank).run({"bank": MEMORY}, resources=given) as running:
            await running["bank"].send(Deposit(account="ann", amount=1))
            await until(has_told)
        with pytest.raises(SettingsError, match=r"System.run\(resources=…\) has banc, and it is a system of bank"):
            async with System(bank).run({"bank": MEMORY}, resources={"banc": {}}):
                pass

    asyncio.run(scenario())
    assert "told by another mailer and the real printer" in HAPPENED


def test_nothing_is_opened_where_nothing_is_handled() -> None:
    """A process without the role "processes" needs none of it."""

    async def scenario() -> None:
        async with bank.run(MEMORY, roles=["commands"]) as running:
            await running.send(Deposit(account="ann", amount=1))

    asyncio.run(scenario())
    assert HAPPENED == []


async def fails(service: Service, text: str, **given: Any) -> None:
    with pytest.raises(SettingsError, match=text):
        async with service.run(Settings(log="memory:", views="memory:"), **given):
            pass


def test_what_is_missing_unknown_or_cannot_be_opened_is_named() -> None:
    """The service does not start, and what was opened before is closed again."""

    @asynccontextmanager
    async def broken() -> AsyncIterator[Printer]:
        raise OSError("out of paper")
        yield Printer()

    poor = Service("poor", aggregates=[Account], handlers=[tell], resources={Mailer: opening(Mailer(), "mailer")})

    async def scenario() -> None:
        await fails(poor, r"poor: tell takes printer: Printer, and nothing opens that. .*run\(resources=…\)")
        await fails(
            bank, r"no event handler takes the resource builtins.int. They take Mailer, Printer", resources={int: 1}
        )
        await fails(bank, "Mailer is to be opened by 1, which cannot be called", resources={Mailer: 1})
        await fails(bank, "resources= takes a mapping", resources=[Mailer])
        assert HAPPENED == []
        await fails(
            bank,
            r"the resource Printer cannot be opened by .*broken.*OSError: out of paper",
            resources={Printer: broken},
        )
        assert HAPPENED == ["mailer opened", "mailer closed"]
        await fails(
            bank, r"the resource Mailer cannot be opened by .*Mailer.*context manager", resources={Mailer: Mailer}
        )

    asyncio.run(scenario())


def test_a_declaration_with_a_resource_that_nobody_takes_is_none() -> None:
    """It is found at import."""
    with pytest.raises(DeclarationError, match=r"no event handler takes the resource builtins.int. They take none"):
        Service("bank", aggregates=[Account], resources={int: opening(1, "one")})
