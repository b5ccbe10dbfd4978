"""What no database could keep is set aside with its key: the same keys on every one of them."""

import asyncio
from pathlib import Path

import pytest

from tests.support.hostile_views import Kept, Owned, check_hostile
from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import SystemClock
from twofold.views import View


@pytest.mark.parametrize(("where", "view"), [("memory", Kept), ("file", Kept), ("file", Owned)])
def test_exactly_the_hostile_keys_are_parked(where: str, view: type[View], tmp_path: Path) -> None:
    """By keys, values and errors; they are retried and discarded by what is shown of them, and again in a rebuilding."""

    async def scenario() -> None:
        store = SqliteViews(":memory:" if where == "memory" else str(tmp_path / "views.db"), SystemClock())
        await store.open()
        await check_hostile(store, view)
        await store.close()

    asyncio.run(scenario())
