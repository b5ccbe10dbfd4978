"""The facade in front of every views' database: a store like the one behind it, which believes nobody."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from examples.bank import AccountId, Balance, Deposited
from tests.support.claims import claimed
from twofold import View, project, replace
from twofold.adapters.memory import MemoryStore
from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import SystemClock
from twofold.errors import LeaseLost, LogCorrupted
from twofold.followers import WHOLE, Checkpoint, Claim, Parked, Segment
from twofold.log import Log, recordable
from twofold.telemetry import Telemetry
from twofold.testing import ViewConformance
from twofold.testing.samples import Count
from twofold.views import (
    Layout,
    ProjectionHandler,
    TableChange,
    Transaction,
    ViewDatabase,
    ViewHandler,
    ViewStore,
    layout,
    schema,
)

CLOCK = SystemClock()
ROWS = TableChange(layout(Count), [("a", 1), ("b", 2)], [])


class TestViewDatabase(ViewConformance):
    @pytest.fixture
    def stores(self, tmp_path: Path) -> Callable[[], ViewStore]:
        return lambda: ViewDatabase(SqliteViews(str(tmp_path / "views.db"), CLOCK), Telemetry(CLOCK))


class Lying(SqliteViews):
    """A database that gives what it was not asked for."""

    lie: Any = None

    async def load(self, layout: Layout, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self.lie if self.lie is not None else await super().load(layout, keys)


async def opened(store: Lying) -> tuple[ViewDatabase, Claim]:
    database = ViewDatabase(store, Telemetry(CLOCK))
    await database.open()
    await schema.create(database, layout(Count))
    return database, await claimed(database, "counts")


@pytest.mark.parametrize(
    "lie", [[("c", 1)], [("a", 1), ("a", 1)], [("a", 1), ("b", 2), ("c", 3)]], ids=["another", "one twice", "one more"]
)
def test_rows_are_those_of_the_keys_that_were_asked_for(lie: list[Any]) -> None:
    """A row under another key would be folded into, and stored, as if it were the one: it is not taken."""

    async def scenario() -> None:
        store = Lying(":memory:", CLOCK)
        database, claim = await opened(store)
        await database.commit(Checkpoint(claim, 1), [ROWS])
        assert sorted(await database.load(layout(Count), ["a", "b", "z"])) == [("a", 1), ("b", 2)]
        store.lie = lie
        with pytest.raises(LogCorrupted, match="ViewConformance"):
            await database.load(layout(Count), ["a", "b"])
        await database.close()

    asyncio.run(scenario())


def test_a_checkpoint_does_not_go_back() -> None:
    """By one claim a follower goes on or stays; under a higher fence, after a rewinding, it may begin anywhere."""

    async def scenario() -> None:
        database, claim = await opened(Lying(":memory:", CLOCK))
        for position in (3, 3, 4):
            await database.commit(Checkpoint(claim, position))
        with pytest.raises(AssertionError, match="was at 4, and is to be stored at 3"):
            await database.commit(Checkpoint(claim, 3))
        with pytest.raises(AssertionError, match="was at 9"):
            await database.commit(Checkpoint(msgspec.structs.replace(claim, follower="others", position=9), 8))
        with pytest.raises(LeaseLost):
            await database.commit(Checkpoint(msgspec.structs.replace(claim, fence=claim.fence + 1), 1))
        await database.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("follower", "key"), [("totals", "count:a"), ("counts", "count:b")], ids=["another's", "another segment's"]
)
def test_only_what_is_its_own_is_parked(follower: str, key: str) -> None:
    """What is parked elsewhere would never be found again by whoever has the key."""

    async def scenario() -> None:
        database, claim = await opened(Lying(":memory:", CLOCK))
        half = Segment(0, WHOLE // 2)
        assert half.owns("count:a")
        assert not half.owns("count:b")
        parked = Parked(follower, key, 1, "no", 1, 5)
        with pytest.raises(AssertionError, match="not its own"):
            await database.commit(Checkpoint(msgspec.structs.replace(claim, segment=half), 1, (parked,)))
        await database.close()

    asyncio.run(scenario())


class Purse(View, key=AccountId):
    amount: int = 0


@project(Purse)
async def purses(event: Deposited, rows: Transaction) -> None:
    purse = await rows.get(Purse, event.account)
    rows.put(replace(purse, amount=purse.amount + event.amount))


@pytest.mark.parametrize(
    ("kind", "filled", "view"),
    [(ViewHandler, Balance, Balance), (ProjectionHandler, purses, Purse)],
    ids=["view", "projection"],
)
def test_what_a_database_does_wrong_parks_no_event(kind: Any, filled: Any, view: Any) -> None:
    """No event is to blame, so none is set aside: the follower stops until the database is right again."""

    async def scenario() -> None:
        store = Lying(":memory:", CLOCK)
        database = ViewDatabase(store, Telemetry(CLOCK))
        await database.open()
        await schema.create(database, layout(view))
        log = await Log.open(MemoryStore(), CLOCK)
        await log.append([recordable(Deposited(account="ann", amount=1), CLOCK.new_id(), b"{}").new])
        handler = kind(filled, log, database, CLOCK)
        await handler.start(await claimed(database, handler.name))
        batch = await anext(handler.batches(0))
        store.lie = [("bob", 1)]
        with pytest.raises(LogCorrupted, match="ViewConformance"):
            await handler.apply(batch.events, batch.position, {})
        store.lie = None
        await handler.apply(batch.events, batch.position, {})
        assert len(await database.load(layout(view), ["ann"])) == 1
        await log.close()
        await database.close()

    asyncio.run(scenario())
