"""What is PostgreSQL's own about the log: schemas, upgrades, rights, wake-ups, poolers, durability."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

import asyncpg
import pytest

from tests.adapters.postgres.server_waits import until_waiting
from tests.support.postgres import PostgresServer
from twofold.adapters.postgres import PostgresStore
from twofold.adapters.postgres.batch import batch_arguments
from twofold.errors import LogUnavailable, SettingsError
from twofold.log import ALL, Append, Appended, NewEvent, ProcessedId, Reused

AS_VERSION_1 = """
SELECT head, places, firsts, lasts, stored FROM log_append(
    '00000000-0000-0000-0000-000000000001', $1, 0, 0, ARRAY[cardinality($3::bytea[])],
    array_fill(1, ARRAY[cardinality($3)]), array_fill('id'::text, ARRAY[cardinality($3)]),
    array_fill('T'::text, ARRAY[cardinality($3)]), array_fill(1, ARRAY[cardinality($3)]), $3, $3, $3,
    '{}', '{}', '{}', '{}', '{1}', ARRAY[$2], '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'
)
"""


async def as_version_1(connection: "asyncpg.Connection[asyncpg.Record]", *append: object) -> tuple[object, ...]:
    return tuple(await connection.fetchrow(AS_VERSION_1, *append) or ())


ONE = Append((NewEvent("an-id", "Deposited", 1, ("account:ann",), b"{}"),))


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url)
    try:
        await store.open()
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def test_logs_in_two_schemas_of_one_database_know_nothing_of_each_other(database: str) -> None:
    """So services share a database; a schema's name may be any that PostgreSQL takes."""

    async def scenario() -> None:
        async with opened(f"{database}?schema=orders") as orders, opened(f'{database}?schema=the "old" Shop') as shop:
            assert await orders.write([ONE], 0) == [Appended(1, 1)]
            assert await shop.write([ONE, ONE], 0) == [Appended(1, 1), Appended(2, 2)]
            assert len(await orders.read(ALL)) == 1

    asyncio.run(scenario())


def test_many_processes_may_be_the_first_to_open(database: str) -> None:
    """They make the schema one after the other, and all but one find it made."""
    program = f"""
import asyncio
from tests.adapters.postgres.test_log import ONE, opened
async def main():
    async with opened({database!r}) as store:
        await store.write([ONE], 0)
asyncio.run(main())
"""
    running = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(4)]
    assert [process.wait() for process in running] == [0] * 4

    async def scenario() -> None:
        async with opened(database) as store:
            assert await store.head() == 4

    asyncio.run(scenario())


def test_a_schema_that_another_process_makes_meanwhile_is_used(database: str) -> None:
    """Also by a connection that has made another one before, and remembers of this one that it was not there."""

    async def scenario() -> None:
        async with opened(f"{database}?schema=first"), connected(database) as other, asyncio.timeout(60):
            async with other.transaction():
                await other.execute("SELECT pg_advisory_xact_lock(hashtextextended('twofold second', 0))")
                opening = asyncio.create_task(head_of(f"{database}?schema=second"))
                while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                    await asyncio.sleep(0.01)
                await other.execute("CREATE SCHEMA second")
            assert await opening == 0

    async def head_of(url: str) -> int:
        async with opened(url) as store:
            return await store.head()

    asyncio.run(scenario())


def test_a_schema_one_version_ahead_is_used_and_one_further_ahead_is_refused(database: str) -> None:
    """During a rolling deploy old processes still start; after it, too old ones say so."""

    async def scenario() -> None:
        async with opened(database), connected(database) as connection:
            known = await connection.fetchval("SELECT version FROM twofold.twofold_versions WHERE part = 'log'")
            await connection.execute("UPDATE twofold.twofold_versions SET version = version + 1 WHERE part = 'log'")
            async with opened(database) as old:
                assert await old.write([ONE], 0) == [Appended(1, 1)]
            await connection.execute("UPDATE twofold.twofold_versions SET version = version + 1 WHERE part = 'log'")
            with pytest.raises(SettingsError, match=f"is of version {known + 2}, and this Twofold knows up to {known}"):
                async with opened(database):
                    raise AssertionError

    asyncio.run(scenario())


def test_a_schema_of_the_version_before_is_read_as_it_is_and_upgraded(database: str) -> None:
    """Looking at it changes nothing; what processes of that version append meanwhile stands for any content."""

    async def look() -> None:
        store = PostgresStore(database)
        await store.open(read_only=True)
        assert (await store.processed("first"), *await store.read_processed(0, 0)) == (ProcessedId("first", 1, 0),) * 2
        await store.close()

    async def scenario() -> None:
        async with connected(database) as old:
            await make_version_1(old)
            assert await as_version_1(old, 1, "first", []) == (0, [], [], [], True)
            await look()
            async with opened(database) as store:
                assert await as_version_1(old, 1, "first", []) == (0, [], [], [], True)
                assert await as_version_1(old, 2, "second", [b"{}"]) == (0, [], [], [], True)
                for id in ("first", "second"):
                    (found,) = await store.write([Append((), (), id, b"one")], 0)
                    assert isinstance(found, Appended)
                    assert found.repeated
                assert await store.write([Append((), (), "third", b"one")], 0) == [Appended(2, 1)]
                assert await store.write([Append((), (), "third", b"other")], 0) == [Reused(2, 1)]
                assert await as_version_1(old, 3, "third", []) == (1, [1], [2], [1], False)
            await look()

    asyncio.run(scenario())


async def make_version_1(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.execute("CREATE SCHEMA twofold; SET search_path TO twofold")
    await connection.execute("CREATE TABLE twofold_versions (part text PRIMARY KEY, version integer NOT NULL)")
    await connection.execute("INSERT INTO twofold_versions VALUES ('log', 1)")
    await connection.execute(files("twofold.adapters.postgres").joinpath("log_0001.sql").read_text(encoding="utf-8"))


def test_an_upgrade_that_has_to_wait_does_not_stop_the_log_meanwhile(database: str) -> None:
    """A backup may read a table for long. Others go on with the log, and the upgrade is done once the backup is."""

    async def scenario() -> None:
        async with connected(database) as old, connected(database) as backup:
            await make_version_1(old)
            reading = backup.transaction()
            await reading.start()
            await backup.execute("SELECT FROM twofold.log_handled")
            store = PostgresStore(database)
            opening = asyncio.create_task(store.open())
            await until_waiting(backup, 1, "twofold.log_handled")
            async with asyncio.timeout(10):
                assert await as_version_1(old, 1, "meanwhile", [b"{}"]) == (0, [], [], [], True)
            assert not opening.done()
            await reading.rollback()
            await opening
            assert await store.processed("meanwhile") == ProcessedId("meanwhile", 1, 1)
            await store.close()

    asyncio.run(scenario())


def test_a_user_without_the_right_to_make_schemas_uses_one_that_is_made(database: str) -> None:
    """So deployments can separate who upgrades from who serves; before the upgrade, the error says what is missing."""

    async def scenario() -> None:
        served = database.replace("postgres@", "served@")
        async with connected(database) as connection:
            await connection.execute("DROP ROLE IF EXISTS served; CREATE ROLE served LOGIN")
            try:
                with pytest.raises(LogUnavailable, match="Give this user rights"):
                    async with opened(served):
                        raise AssertionError
                async with opened(database):
                    pass
                await connection.execute("GRANT USAGE ON SCHEMA twofold TO served")
                await connection.execute(
                    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA twofold TO served"
                )
                async with opened(served) as store:
                    assert await store.write([ONE], 0) == [Appended(1, 1)]
                    assert len(await store.read(ALL)) == 1
            finally:
                await connection.execute("DROP OWNED BY served; DROP ROLE served")

    asyncio.run(scenario())


def test_another_process_append_ends_a_wait(database: str) -> None:
    """The wait would last an hour; the first one ends when listening has begun, as something may have come before."""

    async def scenario() -> None:
        async with opened(database) as waiting, opened(database) as writing, asyncio.timeout(60):
            await waiting.changed(3600)
            changed = asyncio.create_task(waiting.changed(3600))
            await writing.write([ONE], 0)
            await changed

    asyncio.run(scenario())


def test_listening_goes_on_after_its_connection_was_lost(server: PostgresServer, database: str) -> None:
    """A terminated listener comes back, and says then that something may have been missed."""

    async def scenario() -> None:
        async with opened(database) as waiting, connected(server.url) as connection, asyncio.timeout(60):
            await waiting.changed(3600)
            name = database.rpartition("/")[2]
            await connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            await waiting.changed(3600)

    asyncio.run(scenario())


def test_a_wait_ends_in_time_without_a_server() -> None:
    """Nothing is heard from nowhere, and polling behind the hint goes on at its pace."""

    async def scenario() -> None:
        store = PostgresStore("postgresql://postgres@127.0.0.1:1/nowhere")
        await store.changed(0.01)
        await store.changed(0.01)
        await store.close()

    asyncio.run(scenario())


def test_an_append_is_durable_where_the_database_is_set_not_to_wait_for_its_disk(database: str) -> None:
    """`synchronous_commit = off` loses commits in a crash; appends commit with it on, for themselves alone."""

    async def scenario() -> None:
        async with opened(database) as store, connected(database) as connection:
            await connection.execute("SET synchronous_commit = off")
            async with connection.transaction():
                await connection.fetchrow(store._sql["append"], None, 0, 0, 0, *batch_arguments([ONE]))
                assert await connection.fetchval("SHOW synchronous_commit") == "on"
            assert await connection.fetchval("SHOW synchronous_commit") == "off"
            assert await store.head() == 1

    asyncio.run(scenario())


def test_a_transaction_that_cannot_see_others_appends_is_refused(database: str) -> None:
    """Under REPEATABLE READ a condition would be checked against the log as it was, so the server refuses."""

    async def scenario() -> None:
        async with opened(database) as store, connected(database) as connection:
            with pytest.raises(asyncpg.InvalidTransactionStateError, match="READ COMMITTED"):
                async with connection.transaction(isolation="repeatable_read"):
                    await connection.fetchrow(store._sql["append"], None, 0, 0, 0, *batch_arguments([ONE]))

    asyncio.run(scenario())
