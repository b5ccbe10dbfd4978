"""Views on PostgreSQL, certified by the suite that is shipped."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

import asyncpg
import pytest
from sqlalchemy import func, select

from tests.support.hostile_views import Kept, Owned, check_hostile
from tests.support.ordered_projection import Done, Item, Seen, Step, by_hand, filled, rebuilt, rows_of
from tests.support.view_names import ALLOWED, check_allowed
from tests.support.view_oracle import check_under_fire
from twofold.adapters.memory import MemoryStore
from twofold.adapters.postgres.address import Address
from twofold.adapters.postgres.views import PostgresViews
from twofold.clock import SystemClock
from twofold.errors import DeclarationError
from twofold.followers import Claim, claiming
from twofold.log import Log, NewEvent
from twofold.messages import encode
from twofold.testing import ViewConformance
from twofold.testing.samples import Reserved
from twofold.views import View, ViewStore, layout, schema


class TestPostgresViews(ViewConformance):
    @pytest.fixture
    def stores(self, database: str) -> Callable[[], ViewStore]:
        return lambda: PostgresViews(database, SystemClock())


def test_texts_have_the_order_of_code_points(database: str) -> None:
    """As a table says, whatever the database's language is. One that leaves it to that is refused: pages would be wrong."""

    async def scenario() -> None:
        store = PostgresViews(database, SystemClock())
        await store.open()
        try:
            await schema.create(store, layout(Reserved))
            table = f"{store._address.quoted_schema}.reserved_v1"
            collations = (
                "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass "
                "AND attcollation = '\"C\"'::regcollation"
            )
            found = await store._database.run(lambda connection: connection.fetch(collations, table))
            assert {row[0] for row in found} == {"key", "group"}
            changed = f'ALTER TABLE {table} ALTER "group" TYPE text COLLATE "default"'
            await store._database.run(lambda connection: connection.execute(changed))
            with pytest.raises(DeclarationError, match=r'group text COLLATE "C" NOT NULL.*group text NOT NULL'):
                await schema.create(store, layout(Reserved))
        finally:
            await store.close()

    asyncio.run(scenario())


def test_who_stores_a_long_batch_is_neither_waited_for_nor_replaced(database: str) -> None:
    """Its lease may end meanwhile: that it is storing shows that it lives, and all others go on saying that they do."""

    async def scenario() -> None:
        store = PostgresViews(database, SystemClock())
        await store.open()
        try:
            (claim,) = await claiming.attend(store, "slow", ["orders"], 0)
            async with open_batch(database, claim):
                async with asyncio.timeout(30):
                    assert await claiming.attend(store, "other", ["orders"], 600) == []
                    assert await claiming.attend(store, "slow", ["orders"], 0) == [claim]
            (taken,) = await claiming.attend(store, "other", ["orders"], 600)
            assert taken.fence > claim.fence
        finally:
            await store.close()

    asyncio.run(scenario())


def test_being_there_waits_for_no_queries(database: str) -> None:
    """However many are asked at once and however long they take: leases would be lost over them."""

    async def scenario() -> None:
        store = PostgresViews(database, SystemClock())
        await store.open()
        ended = asyncio.Event()
        asking = [asyncio.create_task(store._database.run(lambda _: ended.wait(), None)) for _ in range(20)]
        try:
            async with asyncio.timeout(30):
                assert len(await claiming.attend(store, "here", ["orders"], 600)) == 1
                await claiming.leave(store, "here")
        finally:
            ended.set()
            await asyncio.gather(*asking)
            await store.close()

    asyncio.run(scenario())


def test_who_finds_again_finds_on_the_same_connection(database: str) -> None:
    """Making one takes longer than most questions; two that ask first and at once leave none behind."""

    async def scenario() -> None:
        store = PostgresViews(database, SystemClock())
        await store.open()
        try:
            process = select(func.pg_backend_pid())
            await asyncio.gather(store.select(process), store.select(process))
            assert len({(await store.select(process))[0][0] for _ in range(5)}) == 1
        finally:
            await store.close()

    asyncio.run(scenario())


@asynccontextmanager
async def open_batch(database: str, claim: Claim) -> AsyncIterator[None]:
    """Hold the segment as a transaction does that has moved its checkpoint and still writes rows."""
    address = Address.of(database)
    connection = await asyncpg.connect(address.dsn)
    try:
        async with connection.transaction():
            await connection.execute(
                f"UPDATE {address.quoted_schema}.twofold_segments SET position = 5 WHERE follower = $1", claim.follower
            )
            yield
    finally:
        await connection.close()


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_projection_s_rows_are_what_one_step_after_the_other_makes(database: str, size: int) -> None:
    """In whatever batches, and again when they are rebuilt: each get sees what the statements before it have done."""
    random = Random(size)
    events = [
        Done(
            steps=tuple(
                Step(random.choice(["add", "put", "delete", "clear", "bump", "count"]), random.choice("xyz"), owner)
                for owner in random.choices(["ann", "bob"], k=3)
            )
        )
        for _ in range(60)
    ]

    async def scenario() -> None:
        log = await Log.open(MemoryStore(), SystemClock())
        store = PostgresViews(database, SystemClock())
        await store.open()
        for view in (Item, Seen):
            await schema.create(store, layout(view))
        await log.append([NewEvent(f"id-{n}", "Done", 1, (), encode(event)) for n, event in enumerate(events)])
        await filled(store, log, [size] * 60)
        assert await rows_of(store) == by_hand(events)
        await rebuilt(store, log, [7] * 9)
        assert await rows_of(store) == by_hand(events)
        await store.close()
        await log.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("view", [Kept, Owned])
def test_exactly_the_hostile_keys_are_parked(database: str, view: type[View]) -> None:
    """The same as on SQLite: by keys, values and errors; they are found again by what is shown of them."""

    async def scenario() -> None:
        store = PostgresViews(database, SystemClock())
        await store.open()
        await check_hostile(store, view)
        await store.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("case", ALLOWED)
def test_what_may_be_declared_has_a_table(database: str, case: str) -> None:
    """Also with the longest names, of which shadows and indexes have longer ones, and with as many fields as may be."""

    async def scenario() -> None:
        store = PostgresViews(database, SystemClock())
        await store.open()
        await check_allowed(store, ALLOWED[case])
        await store.close()

    asyncio.run(scenario())


def test_at_each_checkpoint_rows_are_a_fresh_fold(database: str) -> None:
    """With two owners that are ended now and then, values refused, keys retried, segments cut and merged, and rewinding."""
    asyncio.run(check_under_fire(lambda: PostgresViews(database, SystemClock()), 0))
