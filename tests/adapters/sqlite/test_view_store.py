"""The views' databases that Twofold brings, certified by the suite that it ships."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tests.support.claims import claimed
from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import SystemClock
from twofold.followers import Checkpoint, checkpoints
from twofold.testing import ViewConformance
from twofold.testing.samples import Count
from twofold.views import TableChange, ViewStore, layout, replacing, schema
from twofold.views.shadow import shadow_layout


class TestSqliteFile(ViewConformance):
    @pytest.fixture
    def stores(self, tmp_path: Path) -> Callable[[], ViewStore]:
        return lambda: SqliteViews(str(tmp_path / "views.db"), SystemClock())


class TestSqliteMemory(ViewConformance):
    @pytest.fixture
    def stores(self) -> Callable[[], ViewStore]:
        store = SqliteViews(":memory:", SystemClock())
        return lambda: store


def test_a_slow_statement_holds_up_nobody_else(tmp_path: Path) -> None:
    """Followers load and store rows while a report takes its time."""
    going_on = threading.Event()

    async def scenario() -> None:
        store = SqliteViews(str(tmp_path / "views.db"), SystemClock())
        await store.open()
        await schema.create(store, layout(Count))
        claim = await claimed(store, "count_v1", "test", 60)
        await store._selecting.run(lambda connection: connection.create_function("wait", 0, lambda: going_on.wait(60)))
        slow = asyncio.create_task(store.select(select(func.wait())))
        for number in range(1, 10):
            change = TableChange(layout(Count), [("lamp", number)], [])
            await store.commit(Checkpoint(claim, number), [change])
            assert await store.load(layout(Count), ["lamp"]) == [("lamp", number)]
            assert await checkpoints.position(store, "count_v1") == number
        assert not slow.done()
        going_on.set()
        await slow
        await store.close()

    asyncio.run(scenario())


def test_a_view_in_sql_reads_the_table_that_takes_its_place(tmp_path: Path) -> None:
    """Reports that others have made of a view's table go on."""

    async def scenario() -> None:
        store = SqliteViews(str(tmp_path / "views.db"), SystemClock())
        await store.open()
        await schema.create(store, layout(Count))
        others = sqlite3.connect(tmp_path / "views.db")
        others.execute("CREATE VIEW report AS SELECT sum(number) FROM count_v1")
        await replacing.begin(store, "count_v1", [layout(Count)])
        shadow = await claimed(store, "count_v1:rebuild")
        change = TableChange(shadow_layout(layout(Count)), [("lamp", 7)], [])
        await store.commit(Checkpoint(shadow, 1), [change])
        assert others.execute("SELECT * FROM report").fetchone() == (None,)
        assert await replacing.take_over(store, "count_v1", [layout(Count)])
        assert others.execute("SELECT * FROM report").fetchone() == (7,)
        others.close()
        await store.close()

    asyncio.run(scenario())
