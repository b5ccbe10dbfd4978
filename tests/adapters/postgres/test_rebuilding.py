"""What only PostgreSQL has: locks that queries wait for, and rights on a table."""

import asyncio

import asyncpg
import pytest

from tests.support.rebuilt_tallies import Add, OneTally, killed_while_rebuilding, rebuilt_under_load, tallies
from tests.support.two_versions import rolled_out
from twofold.adapters.postgres.address import Address
from twofold.adapters.postgres.views import PostgresViews
from twofold.clock import SystemClock
from twofold.errors import LogUnavailable
from twofold.service import Settings
from twofold.testing.samples import Count
from twofold.views import layout, replacing, schema


def test_a_view_is_rebuilt_while_commands_arrive_and_queries_run(database: str) -> None:
    """None of them fails or goes back in time, receipts are kept, and at the end the rows are those of a fresh fold."""
    asyncio.run(rebuilt_under_load(Settings(log=database, views=database)))


def test_a_process_that_is_killed_while_it_rebuilds_is_of_no_consequence(database: str) -> None:
    """Whatever it was doing: the view answers with all that it knew, and who comes next goes on with the rebuilding."""
    asyncio.run(killed_while_rebuilding(Settings(log=database, views=database), 1))


def test_a_new_version_takes_over_in_a_rolling_deployment(database: str) -> None:
    """Old and new code at once: both answer, never from before what they said last; in the end the old table is gone."""
    asyncio.run(rolled_out(Settings(log=database, views=database)))


def table(database: str) -> str:
    return f"{Address.of(database).quoted_schema}.count_v1"


def test_a_query_that_takes_long_is_not_in_the_way_of_others(database: str) -> None:
    """A table cannot be replaced while it is read: that is tried for a moment only, and then again."""
    counts = [layout(Count)]

    async def scenario() -> None:
        store = PostgresViews(database, SystemClock())
        await store.open()
        await schema.create(store, layout(Count))
        await replacing.begin(store, "count_v1", counts)
        report = await asyncpg.connect(database)
        async with report.transaction():
            await report.fetch(f"SELECT * FROM {table(database)}")
            for _ in range(3):
                trying = asyncio.create_task(replacing.take_over(store, "count_v1", counts))
                while not trying.done():
                    assert await store.load(layout(Count), ["lamp"]) == []
                assert not await trying
                assert not await replacing.drop(store, "count_v1", ["count_v1"])
        assert await replacing.take_over(store, "count_v1", counts)
        await report.close()
        await store.close()

    asyncio.run(scenario())


def test_who_could_read_a_table_can_read_the_one_that_takes_its_place(database: str) -> None:
    """Reports have users of their own, and rights are granted on a table."""
    counts = [layout(Count)]

    async def scenario() -> None:
        store = PostgresViews(database, SystemClock())
        await store.open()
        await schema.create(store, layout(Count))
        operator = await asyncpg.connect(database)
        name = table(database)
        await operator.execute(f"GRANT SELECT ON {name} TO PUBLIC; GRANT SELECT, UPDATE ON {name} TO pg_monitor")
        rights = "SELECT relacl::text[] FROM pg_class WHERE oid = to_regclass($1)"
        before = await operator.fetchval(rights, name)
        await replacing.begin(store, "count_v1", counts)
        assert await replacing.take_over(store, "count_v1", counts)
        assert sorted(await operator.fetchval(rights, name)) == sorted(before)
        indexes = await operator.fetch(
            "SELECT indexname FROM pg_indexes WHERE tablename = 'count_v1' ORDER BY indexname"
        )
        assert [name for (name,) in indexes] == ["count_v1_by_number", "count_v1_pkey"]
        await operator.close()
        await store.close()

    asyncio.run(scenario())


def test_what_keeps_a_table_from_being_replaced_is_named(database: str) -> None:
    """A view in SQL belongs to the very table that it was made of: the view answers as before, until somebody drops that."""

    async def scenario() -> None:
        async with tallies.run(Settings(log=database, views=database)) as running:
            receipt = await running.send(Add(tally="a"))
            assert await running.ask(OneTally(tally="a"), after=receipt) == 1
            operator = await asyncpg.connect(database)
            schema = Address.of(database).quoted_schema
            await operator.execute(f"CREATE VIEW {schema}.report AS SELECT sum(count) FROM {schema}.tally_v1")
            with pytest.raises(LogUnavailable, match="tally_v1 because other objects depend on it"):
                await running.rebuild("tally_v1")
            receipt = await running.send(Add(tally="a"))
            assert await running.ask(OneTally(tally="a"), after=receipt) == 2
            await operator.execute(f"DROP VIEW {schema}.report")
            await operator.close()
            await running.rebuild("tally_v1")
            assert await running.ask(OneTally(tally="a"), after=receipt) == 2

    asyncio.run(scenario())
