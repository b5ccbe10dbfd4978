"""A view that is rebuilt answers all the while, and is what its events make of it in the end."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select, text

from tests.support.rebuilt_tallies import (
    Add,
    Added,
    AllTallies,
    Counter,
    killed_while_rebuilding,
    rebuilt_under_load,
    tallies,
)
from twofold import Service, Tag, View, project, replace
from twofold.errors import NotNow
from twofold.followers import parking
from twofold.service import Settings
from twofold.views import Transaction


def files(folder: Path) -> Settings:
    return Settings(log=f"sqlite:///{folder}/log.db", views=f"sqlite:///{folder}/views.db")


def test_a_view_is_rebuilt_while_commands_arrive_and_queries_run(tmp_path: Path) -> None:
    """None of them fails or goes back in time, receipts are kept, and at the end the rows are those of a fresh fold."""
    asyncio.run(rebuilt_under_load(files(tmp_path)))


def test_a_process_that_is_killed_while_it_rebuilds_is_of_no_consequence(tmp_path: Path) -> None:
    """Whatever it was doing: the view answers with all that it knew, and who comes next goes on with the rebuilding."""
    asyncio.run(killed_while_rebuilding(files(tmp_path), 3))


class Points(View, key=Annotated[str, Tag("points")]):
    number: int = 0


OWN = Table("own", MetaData(), Column("number", Integer))


def projected(statement: Callable[[Added], Any]) -> Service:
    """Return a service with a projection that puts a row and runs a statement for each event."""

    @project(Points)
    async def pointed(event: Added, rows: Transaction) -> None:
        row = await rows.get(Points, event.tally)
        rows.put(replace(row, number=event.number))
        rows.execute(statement(event))

    return Service("points", aggregates=[Counter], views=[Points], projections=[pointed])


def test_what_a_projection_says_of_its_own_tables_goes_to_their_shadows(tmp_path: Path) -> None:
    """By rows and by statements: what answers is not touched, and what takes its place has the effect once."""
    points = Points.c.key.table
    service = projected(lambda event: insert(points).values(key=f"{event.tally} {event.number}", number=event.number))

    async def scenario() -> None:
        async with service.run(files(tmp_path)) as running:
            for tally in "abab":
                await running.send(Add(tally=tally))
            await running._positions.reach("pointed_v1", 4, 30)
            expected = await running.views.select(select(points).order_by(points.c.key))
            assert [tuple(row) for row in expected] == [
                ("a", 2), ("a 1", 1), ("a 2", 2), ("b", 2), ("b 1", 1), ("b 2", 2)
            ]  # fmt: skip
            await running.rebuild("pointed_v1")
            assert await running.views.select(select(points).order_by(points.c.key)) == expected
            assert await parking.parked(running.views) == []

    asyncio.run(scenario())


@pytest.mark.parametrize("statement", [insert(OWN).values(number=1), text("INSERT INTO own VALUES (1)")])
def test_what_cannot_be_written_twice_is_not_rebuilt_beside(
    tmp_path: Path, statement: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A projection with tables of its own has no shadows of those: that is said, nothing of it is kept, and it goes on."""
    service = projected(lambda event: statement)

    async def scenario() -> None:
        async with service.run(files(tmp_path)) as running:
            adapter: Any = running.views.store
            await adapter._writing.run(lambda connection: connection.execute("CREATE TABLE own (number INTEGER)"))
            await running.send(Add(tally="a"))
            await running._positions.reach("pointed_v1", 1, 30)
            with pytest.raises(NotNow, match="pointed_v1 was given up"):
                await running.rebuild("pointed_v1")
            await running.send(Add(tally="a"))
            await running._positions.reach("pointed_v1", 2, 30)
            assert len(await running.views.select(select(OWN))) == 2
            assert {each.follower for each in await running.progress()} == {"pointed_v1"}

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("The rebuilding of pointed_v1 was given up: ")
    assert "--in-place" in said


def test_a_view_in_memory_is_rebuilt_too() -> None:
    """All of it on one connection, on which others read and write meanwhile."""

    async def scenario() -> None:
        async with tallies.run(Settings(log="memory:", views="memory:")) as running:
            receipt = await running.send(Add(tally="a"))
            assert await running.ask(AllTallies(), after=receipt) == {"a": (1, 0)}
            for _ in range(2):
                await asyncio.gather(*[running.rebuild(name) for name in tallies.declaration.followers])
                receipt = await running.send(Add(tally="a"))
                assert await running.ask(AllTallies(), after=receipt) == {"a": (receipt.position, 0)}

    asyncio.run(scenario())
