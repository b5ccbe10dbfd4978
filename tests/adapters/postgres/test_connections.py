"""A connection may be lost at any moment; every append still ends in one right answer."""

import asyncio
import random
import string
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from sqlalchemy import func, literal, select, text

from tests.adapters.postgres.server_waits import until_waiting
from tests.support.cut_connection import POINTS, CuttingProxy, Point
from tests.support.postgres import PostgresServer
from twofold.adapters.postgres import PostgresStore
from twofold.adapters.postgres.address import Address
from twofold.adapters.postgres.batch import batch_arguments
from twofold.adapters.postgres.database import Database
from twofold.adapters.postgres.views import PostgresViews
from twofold.clock import SystemClock
from twofold.errors import LogError, LogUnavailable, SettingsError, ValueRefused
from twofold.limits import PostgresqlLimits
from twofold.log import ALL, Append, Appended, Condition, Conflict, Log, NewEvent


def event(id_: str) -> NewEvent:
    return NewEvent(id_, "Deposited", 1, ("account:ann",), b"{}")


async def stored_ids(url: str) -> list[str]:
    """Return the ids of all events by their positions, having checked that the positions have no gap."""
    log = await Log.open(PostgresStore(url), SystemClock())
    try:
        return [each.id for each in await log.read(ALL, 0, 100_000)]
    finally:
        await log.close()


PATIENT = PostgresqlLimits(patience_seconds=86_400)


@asynccontextmanager
async def opened(url: str, patience_seconds: float = 30.0) -> Any:
    store = PostgresStore(url, SystemClock(), PostgresqlLimits(patience_seconds=patience_seconds))
    try:
        await store.open()
        yield store
    finally:
        await store.close()


@pytest.mark.parametrize("point", POINTS)
def test_a_batch_cut_off_is_stored_once_and_its_outcomes_are_the_first_ones(database: str, point: Point) -> None:
    """Nothing in the batch would stop a second storing but its number: no ids, and a condition that was true once."""

    async def scenario() -> None:
        async with CuttingProxy(database).serving() as proxy, opened(proxy.url) as store:
            await store.write([Append((event("warm-up"),))], 0)
            proxy.cut_next(point)
            outcomes = await store.write(
                [
                    Append((event("first"), event("second"))),
                    Append((event("never"),), (Condition(ALL, 1),)),
                    Append((event("third"),), (Condition(ALL, behind=0),)),
                ],
                0,
            )
            assert proxy.cuts == 1
            assert outcomes == [Appended(2, 3), Conflict(3), Appended(4, 4)]
            assert await store.write([Append((event("fourth"),))], 0) == [Appended(5, 5)]
        assert await stored_ids(database) == ["warm-up", "first", "second", "third", "fourth"]

    asyncio.run(scenario())


async def until(holds: Callable[[], bool]) -> None:
    """Look again and again, as nobody tells."""
    while not holds():
        await asyncio.sleep(0.001)


class Load:
    """Many callers that append unconditionally, so that nothing but the store itself keeps a repetition out."""

    def __init__(self) -> None:
        self.acknowledged: dict[int, str] = {}
        self._stopping = False

    async def run(self, store: PostgresStore, callers: int = 16) -> None:
        log = await Log.open(store, SystemClock())
        await asyncio.gather(*(self._append(log, name) for name in range(callers)))
        await log.close()

    async def _append(self, log: Log, name: int) -> None:
        number = 0
        while not self._stopping:
            number += 1
            outcome = await log.append([event(f"{name}-{number}")])
            assert isinstance(outcome, Appended)
            self.acknowledged[outcome.last] = f"{name}-{number}"

    async def more(self, events: int) -> None:
        """Return when so many more are acknowledged."""
        goal = len(self.acknowledged) + events
        await until(lambda: len(self.acknowledged) >= goal)

    async def disturb(self, disturbance: Awaitable[None]) -> None:
        await disturbance
        await self.more(100)
        self._stopping = True


async def stored_as_acknowledged(url: str, via: str, disturb: Callable[[Load], Awaitable[None]]) -> None:
    """Run the load beside a disturbance: in the end, what is in the log is what was acknowledged, each where it was."""
    load = Load()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(load.run(PostgresStore(via)))
        tasks.create_task(load.disturb(disturb(load)))
    assert await stored_ids(url) == [load.acknowledged[position] for position in sorted(load.acknowledged)]


def test_cuts_anywhere_under_load_lose_nothing_and_repeat_nothing(database: str) -> None:
    """Unconditional appends, whose repetition no condition would stop: what is acknowledged is stored, each once."""

    async def scenario() -> None:
        dice = random.Random(4)
        async with CuttingProxy(database).serving() as proxy:

            async def cut_often(load: Load) -> None:
                for _ in range(60):
                    await load.more(dice.randrange(64))
                    if dice.random() < 0.3:
                        proxy.cut_all()
                    else:
                        proxy.cut_next(dice.choice(POINTS))
                        await until(proxy.has_cut)

            await stored_as_acknowledged(database, proxy.url, cut_often)

    asyncio.run(scenario())


def test_terminated_backends_are_replaced(server: PostgresServer, database: str) -> None:
    """An operator's `pg_terminate_backend`, again and again, costs no append."""

    async def scenario() -> None:
        connection = await asyncpg.connect(server.url)

        async def terminate_often(load: Load) -> None:
            for _ in range(30):
                await load.more(20)
                await connection.fetchval(TERMINATE, database.rpartition("/")[2])

        await stored_as_acknowledged(database, database, terminate_often)
        await connection.close()

    asyncio.run(scenario())


TERMINATE = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()
"""


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_the_server_may_stop_or_die_and_come_back(own_server: PostgresServer, end: str) -> None:
    """An orderly restart and a crash, both in the middle of the load: the same process goes on when the server is back."""

    async def scenario(url: str) -> None:
        async def restart(load: Load) -> None:
            for _ in range(2):
                await load.more(100)
                await asyncio.to_thread(getattr(own_server, end))
                await asyncio.to_thread(own_server.start)

        await stored_as_acknowledged(url, url, restart)

    with own_server.database() as url:
        asyncio.run(scenario(url))


def test_a_call_that_waits_on_the_server_after_its_client_is_gone_and_the_one_in_its_place_store_once(
    database: str,
) -> None:
    """The server goes on with a call whose connection is lost, so both are decided, and the later one finds the first."""

    async def scenario() -> None:
        async with CuttingProxy(database).serving() as proxy, opened(proxy.url) as store:
            holder = await asyncpg.connect(database)
            async with holder.transaction():
                await holder.execute("LOCK TABLE twofold.log_appending IN EXCLUSIVE MODE")
                writing = asyncio.create_task(store.write([Append((event("once"),))], 0))
                await until_waiting(holder, 1)
                proxy.cut_all()
                await until_waiting(holder, 2)
            assert await writing == [Appended(1, 1)]
            await until_waiting(holder, 0)
            await holder.close()
        assert await stored_ids(database) == ["once"]

    asyncio.run(scenario())


def test_a_batch_that_its_writer_gave_up_is_refused_after_the_next_one(database: str) -> None:
    """A call may come to its turn long after its writer went on without it: it must not be stored then."""

    async def scenario() -> None:
        async with opened(database, patience_seconds=0.5) as store:
            holder, operator = await asyncpg.connect(database), await asyncpg.connect(database)
            async with holder.transaction():
                await holder.execute("LOCK TABLE twofold.log_appending IN EXCLUSIVE MODE")
                with pytest.raises(LogUnavailable, match=r"lock timeout.* Nothing of this batch was stored\."):
                    await store.write([Append((event("given up"),))], 0)
                await until_waiting(operator, 0)
            assert await store.write([Append((event("next"),))], 0) == [Appended(1, 1)]
            arguments = (store._writer, 1, 0, 0, *batch_arguments([Append((event("given up"),))]))
            with pytest.raises(asyncpg.InvalidTransactionStateError, match="has given it up"):
                await operator.fetchrow(store._sql["append"], *arguments)
            await holder.close()
            await operator.close()
        assert await stored_ids(database) == ["next"]

    asyncio.run(scenario())


def test_a_network_that_swallows_everything_is_an_error_after_a_bounded_time(database: str) -> None:
    """No reset tells that the server is out of reach; when it is there again, what was held back does no harm."""

    async def scenario() -> None:
        async with CuttingProxy(database).serving() as proxy, opened(proxy.url, patience_seconds=0.5) as store:
            await store.write([Append((event("before"),))], 0)
            proxy.hold()
            with pytest.raises(LogUnavailable, match=r"no answer in time.*Whether this batch was stored is not known"):
                await store.write([Append((event("held back"),))], 0)
            with pytest.raises(LogUnavailable, match="no answer in time"):
                await store.read(ALL)
            proxy.let_go()
            (after,) = await store.write([Append((event("after"),))], 0)
        stored = await stored_ids(database)
        assert isinstance(after, Appended)
        assert stored[after.last - 1] == "after"
        assert stored in (["before", "after"], ["before", "held back", "after"])

    asyncio.run(scenario())


def test_a_network_that_swallows_everything_within_a_transaction_is_an_error_after_a_bounded_time(
    database: str,
) -> None:
    """The driver would wait for the transaction to be rolled back, and that for as long as the operating system does."""

    async def scenario() -> None:
        async with CuttingProxy(database).serving() as proxy:
            lost = Database(Address.of(proxy.url), SystemClock(), PostgresqlLimits(patience_seconds=0.5))

            async def work(connection: Any) -> None:
                async with connection.transaction():
                    proxy.hold()
                    await connection.execute("SELECT 1")

            async with asyncio.timeout(20):
                with pytest.raises(LogUnavailable, match="Whether this batch was stored is not known"):
                    await lost.write(work)
            proxy.let_go()
            assert await lost.write(lambda connection: connection.fetchval("SELECT 1")) == 1
            await lost.close()

    asyncio.run(scenario())


def test_a_server_that_stays_away_is_an_error_after_a_bounded_time(own_server: PostgresServer) -> None:
    """The text names the URL without its password, gives the reason and says what became of the batch."""

    async def scenario(url: str) -> None:
        url = url.replace("postgres@", "postgres:secret@")
        async with opened(url, patience_seconds=1) as store:
            await asyncio.to_thread(own_server.stop)
            with pytest.raises(LogUnavailable) as caught:
                await store.write([Append((event("lost"),))], 0)
            assert "postgres:***@127.0.0.1" in str(caught.value)
            assert "Check that the server is running" in str(caught.value)
            assert "Nothing of this batch was stored." in str(caught.value)
            with pytest.raises(LogUnavailable, match=r"Tried for \d\.\d seconds"):
                await store.read(ALL)
            await asyncio.to_thread(own_server.start)
            assert await store.write([Append((event("found"),))], 0) == [Appended(1, 1)]

    with own_server.database() as url:
        asyncio.run(scenario(url))


def test_what_waiting_cannot_mend_is_an_error_at_once(database: str) -> None:
    """A database that does not exist, and a URL that the driver cannot read, are not tried for half a minute."""

    async def scenario() -> None:
        with pytest.raises(LogUnavailable, match=r'"nowhere" does not exist. Create the database first.'):
            await PostgresStore(f"{database.rpartition('/')[0]}/nowhere", limits=PATIENT).open()
        with pytest.raises(SettingsError, match="For example postgresql://"):
            await PostgresStore("postgresql://127.0.0.1:port/shop", limits=PATIENT).open()

    asyncio.run(scenario())


LONG = "".join(random.Random(1).choices(string.ascii_letters, k=12_000))
REFUSED: dict[str, tuple[Any, ...]] = {
    "INSERT INTO kept VALUES ($1, 1)": ("a NUL: \0",),
    "INSERT INTO kept SELECT $1, 1": ("\ud800",),
    "INSERT INTO kept VALUES ($1, 2)": (LONG,),
    "INSERT INTO kept VALUES ('number', $1)": (1 << 64,),
    "INSERT INTO kept VALUES ('hole', $1)": (None,),
    "INSERT INTO kept VALUES ('type', $1)": ("text",),
    "SELECT 1 / $1::integer": (0,),
}


@pytest.mark.parametrize("statement", REFUSED)
def test_a_refused_value_is_told_at_once_and_costs_no_connection(database: str, statement: str) -> None:
    """It is not tried again for as long as a lost server is, and the next call finds the same session."""

    async def scenario() -> None:
        store = Database(Address.of(database), SystemClock(), PATIENT)
        process = "SELECT pg_backend_pid()"
        try:
            await store.write(
                lambda connection: connection.execute(
                    "CREATE TABLE kept (name text PRIMARY KEY, number bigint NOT NULL)"
                )
            )
            for run in (store.run, store.write, store.run_apart):
                before = await run(lambda connection: connection.fetchval(process))
                with pytest.raises(ValueRefused, match=r"(?s)postgresql://.*it would be refused again\."):
                    await run(lambda connection: connection.execute(statement, *REFUSED[statement]))
                assert await run(lambda connection: connection.fetchval(process)) == before
        finally:
            await store.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("row", [("\ud800", 1), ("number", 1 << 64), ("a NUL: \0", 1), ("hole", None)], ids=ascii)
def test_a_refused_row_of_a_copy_is_told_in_the_same_way(database: str, row: tuple[Any, ...]) -> None:
    """Rows that are streamed are encoded by Python, which has errors of its own for what it cannot encode."""

    async def scenario() -> None:
        store = Database(Address.of(database), SystemClock(), PATIENT)
        try:
            await store.write(
                lambda connection: connection.execute("CREATE TABLE kept (name text, number bigint NOT NULL)")
            )
            with pytest.raises(ValueRefused, match=r"Nothing of this batch was stored\."):
                await store.write(lambda connection: connection.copy_records_to_table("kept", records=[row]))
        finally:
            await store.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (select(literal("a NUL: \0")), ValueRefused),
        (select(literal("\ud800")), ValueRefused),
        (select(literal(1 << 64)), ValueRefused),
        (select(func.no_such_function()), ValueRefused),
        (text("SELECT no sense FROM"), ValueRefused),
        (text("SELECT :missing"), ValueRefused),
        (text("SELECT * FROM not_made_yet"), LogUnavailable),
    ],
    ids=["NUL", "surrogate", "beyond 64 bits", "no such function", "no SQL", "missing parameter", "missing table"],
)
def test_a_query_that_is_wrong_is_refused_and_a_table_that_is_missing_is_not(
    database: str, statement: Any, expected: type[LogError]
) -> None:
    """Whoever asked is at fault, and the database is not away; a table is for the operator to make."""

    async def scenario() -> None:
        views = PostgresViews(database, SystemClock())
        await views.open()
        try:
            with pytest.raises(expected):
                await views.select(statement)
            assert len(await views.select(select(literal(1)))) == 1
        finally:
            await views.close()

    asyncio.run(scenario())


def test_a_column_that_is_gone_is_no_fault_of_a_value(database: str) -> None:
    """Somebody has changed what the store itself has made: all that comes would fail, whatever it says."""

    async def scenario() -> None:
        async with opened(database) as store:
            operator = await asyncpg.connect(database)
            try:
                await operator.execute("ALTER TABLE twofold.log_events RENAME COLUMN data TO away")
                with pytest.raises(LogUnavailable, match='"data"'):
                    await store.write([Append((event("lost"),))], 0)
                await operator.execute("ALTER TABLE twofold.log_events RENAME COLUMN away TO data")
                assert await store.write([Append((event("found"),))], 0) == [Appended(1, 1)]
            finally:
                await operator.close()

    asyncio.run(scenario())
