"""Roles: each process does its part of a service, writes nothing beyond it, and says who does the rest."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples.bank import BalanceOf, Deposit, bank
from tests.messaging.service_pair import Demand, DemandFor, Sell, both
from tests.support.waiting import until
from twofold import Receipt
from twofold.errors import FutureReceipt, ReceiptTimeout, SettingsError, WrongRole
from twofold.http import asgi
from twofold.service import ROLES, Role, Running, Settings


def settings(folder: Path, name: str) -> Settings:
    return Settings(log=f"sqlite:///{folder}/{name}.db", views=f"sqlite:///{folder}/{name}-views.db")


def run_bank(folder: Path, *roles: Role) -> Any:
    return bank.run(settings(folder, "bank"), roles=roles)


@asynccontextmanager
async def over_http(running: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(asgi(running)), base_url="http://test") as http:
        yield http


def test_each_process_does_its_part_and_together_they_are_a_system(tmp_path: Path) -> None:
    """A receipt of the one that decides is good at the one that answers, by way of the two that follow."""

    async def scenario() -> None:
        async with AsyncExitStack() as stack:

            async def started(*roles: Role) -> dict[str, Running]:
                each = {name: settings(tmp_path, name) for name in both.services}
                return await stack.enter_async_context(both.run(each, roles=roles))

            followers, relay = await started("followers"), await started("relay")
            deciding, answering = await started("commands"), await started("queries")
            for n in range(1, 6):
                receipt = await deciding["till"].send(Sell(item="tea"))
                demand = await answering["buying"].ask(DemandFor(item="tea"), after=receipt, timeout_seconds=30)
                assert demand == Demand(key="tea", sales=n, units=n)
            await until(lambda: owners(answering["buying"], 2))
            found = {each.follower: each.owner for each in await answering["buying"].progress()}
            assert found == {
                "demand_v1": followers["buying"].coordinator.owner,
                "inbox:till": relay["buying"].coordinator.owner,
            }
            assert (await relay["till"].published(0, 10)).position == 5

    asyncio.run(scenario())


async def owners(running: Running, count: int) -> bool:
    return sum(bool(each.owner) for each in await running.progress()) == count


@pytest.mark.parametrize("role", ROLES)
def test_what_is_not_a_processes_role_is_refused_and_it_says_where_to_go(tmp_path: Path, role: Role) -> None:
    """In Python and over HTTP, where another process may be asked with the same request."""

    async def scenario() -> None:
        async with run_bank(tmp_path, *ROLES):
            pass
        async with run_bank(tmp_path, role) as running, over_http(running) as http:
            asked = {
                "commands": await http.post("/commands/Deposit", json={"account": "ann", "amount": 1}),
                "queries": await http.get("/queries/BalanceOf?account=ann"),
                # Whoever is at the wrong process learns it at once, and not after having waited for news.
                "relay": await http.get("/feed" if role == "relay" else "/feed?wait=30"),
            }
            assert {of for of, each in asked.items() if each.status_code == 200} == {role} - {"followers", "processes"}
            for of, each in asked.items():
                if of != role:
                    document = each.json()
                    assert (each.status_code, document["type"]) == (421, "urn:twofold:problem:wrong-role")
                    assert document["detail"].startswith("This process of bank ")
                    assert f"at one that runs with --role {of}, or with all roles." in document["detail"]
            if role != "commands":
                with pytest.raises(WrongRole, match="send commands at one"):
                    await running.send(Deposit(account="ann", amount=1))
            if role != "queries":
                with pytest.raises(WrongRole, match="ask queries at one"):
                    await running.ask(BalanceOf(account="ann"))
            assert (await http.get("/health/live")).status_code == 200
            # Nobody follows here, and that matters to who answers.
            assert (await http.get("/health/ready")).status_code == (503 if role == "queries" else 200)
            assert (await http.get("/openapi.json")).status_code == 200

    asyncio.run(scenario())


def test_who_only_decides_needs_no_views(tmp_path: Path) -> None:
    """Not even a database for them."""

    async def scenario() -> None:
        broken = Settings(log=f"sqlite:///{tmp_path}/bank.db", views=f"sqlite:///{tmp_path}")
        async with bank.run(broken, roles=["commands"]) as running, over_http(running) as http:
            assert await running.send(Deposit(account="ann", amount=1)) == Receipt("bank", 1)
            assert (await http.get("/health/ready")).json()["services"][0] == {
                "service": "bank",
                "head": 1,
                "failing": {},
            }

    asyncio.run(scenario())


def test_who_only_answers_waits_for_what_others_fill(tmp_path: Path) -> None:
    """A receipt is not from the future because the views are behind; and with the log away, other questions are answered."""

    async def scenario() -> None:
        async with run_bank(tmp_path, *ROLES):
            pass
        async with run_bank(tmp_path, "commands") as deciding, run_bank(tmp_path, "queries") as answering:
            receipt = await deciding.send(Deposit(account="ann", amount=5))
            with pytest.raises(ReceiptTimeout, match="balance_v1 is at position 0 and not yet at 1"):
                await answering.ask(BalanceOf(account="ann"), after=receipt, timeout_seconds=0.05)
            with pytest.raises(FutureReceipt):
                await answering.ask(BalanceOf(account="ann"), after=Receipt("bank", 2))
            async with run_bank(tmp_path, "followers"):
                balance = await answering.ask(BalanceOf(account="ann"), after=receipt, timeout_seconds=30)
                assert balance is not None
                assert balance.amount == 5
                await answering.log.store.close()
                async with over_http(answering) as http:
                    assert (await http.get("/health/ready")).status_code == 200
                    assert (await http.get("/queries/BalanceOf?account=ann")).json()["amount"] == 5

    asyncio.run(scenario())


@pytest.mark.parametrize("roles", [[], ["query"], ["queries", "all"]])
def test_roles_that_there_are_not_are_refused(roles: Collection[Any]) -> None:
    """With those that there are."""

    async def scenario() -> None:
        async with bank.run(Settings(log="memory:", views="memory:"), roles=roles):
            raise AssertionError

    with pytest.raises(SettingsError, match="one or more of commands, queries, followers, processes, relay"):
        asyncio.run(scenario())
