"""``twofold waiting``: whatever can hide a backlog has an age."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing

import pytest

from examples.bank import Deposit, bank
from tests.cli.conftest import CommandLine
from tests.cli.seeing_service import UNLUCKY, Place, sales, stock
from twofold.service import ROLES, Role, Settings

SALES = "tests.cli.seeing_service:sales"
BOTH = "tests.cli.seeing_service:both"


def place(twofold: CommandLine, *commands: Place, roles: Sequence[Role] = ROLES) -> None:
    """Have orders placed by a process that does nothing else than its roles say."""

    async def scenario() -> None:
        settings = Settings(
            log=f"sqlite:///{twofold.folder}/sales.db", views=f"sqlite:///{twofold.folder}/sales-views.db"
        )
        async with sales.run(settings, roles=roles) as running:
            for command in commands:
                await running.send(command)

    asyncio.run(scenario())


def waiting(twofold: CommandLine, target: str = SALES) -> dict[tuple[str, str, str], int]:
    found = twofold.within("waiting", target, "--json").json
    assert [each["since"] for each in found] == sorted(each["since"] for each in found)
    assert all(0 <= each["age_seconds"] < 600 for each in found if each["what"] != "overdue timers")
    return {(each["service"], each["what"], each["name"]): each["count"] for each in found}


def test_nothing_waits_in_a_service_that_is_well(twofold: CommandLine) -> None:
    """For programs that is an empty array."""
    twofold.fill(bank, Deposit(account="ann", amount=5))
    assert twofold("waiting", "examples.bank:bank").lines == ["Nothing waits."]
    assert twofold("waiting", "examples.bank:bank", "--json").json == []


def test_what_waits_has_an_age(twofold: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instances that are running, commands without an outcome, and keys that are parked; what is settled is not among it."""
    monkeypatch.chdir(twofold.folder)
    orders = [Place(order="1"), Place(order="2", units=11), Place(order="3", units=-1), Place(order="4", units=UNLUCKY)]
    twofold.fill(sales, *orders)
    assert waiting(twofold) == {
        ("sales", "running instances", "Fulfilment"): 1,
        ("sales", "sent commands", "stock"): 1,
        ("sales", "parked keys", "process:Fulfilment"): 1,
        ("sales", "parked keys", "handler:welcome"): 1,
    }
    shown = twofold.within("waiting", SALES).lines
    assert shown[0].split() == ["service", "what", "of", "count", "oldest", "since", "age"]
    assert shown[1].startswith("sales    running instances  Fulfilment              1  ")


def test_what_nobody_follows_waits(twofold: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each follower that has something to do, and of no other: how much it has to look at, and the age of the first."""
    monkeypatch.chdir(twofold.folder)
    twofold.fill(sales)
    place(twofold, Place(order="1"), Place(order="2"), roles=["commands"])
    assert waiting(twofold) == {
        ("sales", "events", "handler:welcome"): 2,
        ("sales", "events", "process:Fulfilment"): 2,
    }


def test_a_timer_that_is_overdue_waits(twofold: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its age begins when it was due."""
    monkeypatch.chdir(twofold.folder)
    twofold.fill(sales, Place(order="1"))
    with closing(sqlite3.connect(twofold.folder / "sales-views.db")) as database, database:
        database.execute("UPDATE pending_timer_v1 SET due_us = 1000000 WHERE instance = 'Fulfilment/order:1'")
    assert waiting(twofold)["sales", "overdue timers", "timers"] == 1
    assert twofold.within("waiting", SALES, "--json").json[0]["since"] == "1970-01-01T00:00:01Z"


def test_what_others_have_sent_waits_where_it_is_not_heard(
    twofold: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a system it is known of each inbox what it has still to hear."""
    monkeypatch.chdir(twofold.folder)
    twofold.fill(stock)
    twofold.fill(sales, Place(order="1"))
    found = waiting(twofold, BOTH)
    assert found["sales", "sent commands", "stock"] == 1
    assert ("stock", "events", "inbox:sales") in found
    assert ("sales", "events", "inbox:stock") not in found
