"""An application's rows and its events commit together or not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from tests.adapters.postgres.server_waits import until_waiting
from twofold import Event, Tag
from twofold.adapters.postgres import PostgresStore, append_within
from twofold.clock import SystemClock
from twofold.errors import LogError, LogUnavailable
from twofold.log import ALL, Appended, Condition, Conflict, Criterion, Log, NewEvent
from twofold.messages import Metadata


class OrderPlaced(Event):
    order: Annotated[str, Tag("order")]
    total: int


ORDER = OrderPlaced(order="o-1", total=5)


class Refused(Exception):
    """The application's own reason not to commit."""


@asynccontextmanager
async def application(database: str) -> AsyncIterator[tuple[Log, "asyncpg.Connection[asyncpg.Record]"]]:
    """A log, and a connection to the application's own table in the same database."""
    log = await Log.open(PostgresStore(database), SystemClock())
    connection = await asyncpg.connect(database)
    await connection.execute("CREATE TABLE orders (id text PRIMARY KEY, total integer)")
    try:
        yield log, connection
    finally:
        await connection.close()
        await log.close()


def test_the_row_and_the_event_are_there_together(database: str) -> None:
    """The event has its type, tags and circumstances as if a command had led to it, and followers see it."""

    async def scenario() -> None:
        async with application(database) as (log, connection):
            async with connection.transaction():
                await connection.execute("INSERT INTO orders VALUES ('o-1', 5)")
                outcome = await append_within(connection, [ORDER], metadata=Metadata(actor="ann"))
                assert await log.head() == 0
            assert outcome == Appended(1, 1)
            (event,) = (await anext(log.follow())).events
            assert (event.type, event.tags, event.data) == ("OrderPlaced", ("order:o-1",), b'{"order":"o-1","total":5}')
            assert event.metadata.actor == "ann"
            assert await connection.fetchval("SELECT count(*) FROM orders") == 1

    asyncio.run(scenario())


async def place_and_think_better_of_it(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    async with connection.transaction():
        await connection.execute("INSERT INTO orders VALUES ('o-1', 5)")
        await append_within(connection, [ORDER])
        raise Refused


def test_neither_is_there_after_a_rollback(database: str) -> None:
    """The position is given to the next append instead: there is no gap."""

    async def scenario() -> None:
        async with application(database) as (log, connection):
            with pytest.raises(Refused):
                await place_and_think_better_of_it(connection)
            assert await connection.fetchval("SELECT count(*) FROM orders") == 0
            assert await log.append([NewEvent("next", "T", 1, (), b"{}")]) == Appended(1, 1)
            assert [each.id for each in await log.read(ALL)] == ["next"]

    asyncio.run(scenario())


def test_conditions_and_ids_are_held_to(database: str) -> None:
    """A conflict leaves the decision about the rest to the application; a repetition adds nothing."""

    async def scenario() -> None:
        async with application(database) as (log, connection):
            first_of_order = Condition((Criterion(tags=("order:o-1",)),))
            async with connection.transaction():
                assert await append_within(connection, [ORDER], first_of_order, id="place o-1") == Appended(1, 1)
            async with connection.transaction():
                assert await append_within(connection, [ORDER], first_of_order) == Conflict(1)
                assert await append_within(connection, [ORDER], id="place o-1") == Appended(1, 1, repeated=True)
            assert await log.head() == 1

    asyncio.run(scenario())


def test_a_sqlalchemy_session_does_as_well(database: str) -> None:
    """Its commit and its rollback are the events' too, in the style of a block and of commit as you go."""

    async def scenario() -> None:
        engine = create_async_engine(database.replace("postgresql://", "postgresql+asyncpg://"))
        async with application(database) as (log, _):
            async with AsyncSession(engine) as session, session.begin():
                await session.execute(text("INSERT INTO orders VALUES ('o-1', 5)"))
                assert await append_within(session, [ORDER]) == Appended(1, 1)
            async with AsyncSession(engine) as session:
                assert await append_within(session, [ORDER]) == Appended(2, 2)
                await session.rollback()
                assert await append_within(session, [ORDER, ORDER]) == Appended(2, 3)
                await session.commit()
            async with engine.begin() as connection:
                assert await append_within(connection, [ORDER]) == Appended(4, 4)
            assert await log.head() == 4
        await engine.dispose()

    asyncio.run(scenario())


def test_positions_stay_in_the_order_of_commits_beside_other_writers(database: str) -> None:
    """The log's own writer waits for the transaction, and numbers its events after it."""

    async def scenario() -> None:
        async with application(database) as (log, connection):
            for number in range(1, 21):
                async with connection.transaction():
                    await connection.execute("INSERT INTO orders VALUES ($1, 5)", f"o-{number}")
                    within = await append_within(connection, [ORDER])
                    waiting = asyncio.create_task(log.append([NewEvent("other", "T", 1, (), b"{}")]))
                    await until_waiting(connection, 1)
                assert within == Appended(2 * number - 1, 2 * number - 1)
                assert await waiting == Appended(2 * number, 2 * number)
            types = [event.type for event in await log.read()]
            assert types == ["OrderPlaced", "T"] * 20

    asyncio.run(scenario())


def test_what_is_missing_is_said(database: str) -> None:
    """A transaction to be part of, and a log in the schema."""

    async def refused(connection: Any) -> None:
        with pytest.raises(LogError, match="begin one"):
            await append_within(connection, [ORDER])
        with pytest.raises(LogUnavailable, match="The schema nowhere has no log"):
            async with connection.transaction():
                await append_within(connection, [ORDER], schema="nowhere")

    async def scenario() -> None:
        async with application(database) as (_, connection):
            await refused(connection)

    asyncio.run(scenario())
