"""What an operator sees of processes, and of what waits, on PostgreSQL: the same as on SQLite."""

import asyncio
from pathlib import Path

import pytest

from tests.cli.seeing_service import UNLUCKY, Place, sales
from twofold.operations import opened
from twofold.operations.processes import instance, instances
from twofold.operations.waiting import waiting
from twofold.service import Settings
from twofold.testing import settled


def test_instances_and_backlogs_are_seen(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Page by page, with what led to what, and how long it has waited."""
    monkeypatch.chdir(tmp_path)
    settings = Settings(log=database, views=database)

    async def scenario() -> None:
        async with sales.run(settings) as running:
            for order, units in (("1", 1), ("2", 11), ("3", -1), ("4", UNLUCKY)):
                await running.send(Place(order=order, units=units))
            await settled(running, timeout_seconds=60)
        async with opened(sales.declaration, settings) as databases:
            first = await instances(databases, limit=2)
            rest = await instances(databases, limit=2, after=first.next)
            ids = [each.id for each in (*first.instances, *rest.instances)]
            assert sorted(ids) == [f"Fulfilment/order:{each}" for each in (1, 2, 4)]
            (found,) = (await instances(databases, process="Fulfilment", status="running")).instances
            assert (found.id, [each.command for each in found.commands]) == ("Fulfilment/order:1", ["Reserve"])
            history = (await instance(databases, found.id)).history
            assert [each.name for each in history] == ["Placed", "Pack", "Unpaid", "Pack", "Reserve"]
            assert {(each.what, each.name, each.count) for each in await waiting([databases])} == {
                ("running instances", "Fulfilment", 1),
                ("sent commands", "stock", 1),
                ("parked keys", "process:Fulfilment", 1),
                ("parked keys", "handler:welcome", 1),
            }

    asyncio.run(scenario())
