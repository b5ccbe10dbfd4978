"""Watching standings: one look for all who wait, and what it shows is told to each whom it concerns."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import SystemClock
from twofold.errors import LogUnavailable
from twofold.followers import Checkpoint, Claim, PositionWaiter, StandingsWatcher, checkpoints, claiming
from twofold.followers.session import Unit


class Counted(SqliteViews):
    """Views in a file that count how often somebody looks, and may be away."""

    looks = 0
    away = False

    async def read(self, unit: Unit[Any]) -> Any:
        self.looks += 1
        if self.away:
            raise LogUnavailable("views.db is away")
        return await super().read(unit)


@asynccontextmanager
async def looking(folder: Path) -> AsyncIterator[tuple[Counted, PositionWaiter, StandingsWatcher, dict[str, Claim]]]:
    """Watch the standings of two followers during a block."""
    store = Counted(str(folder / "views.db"), SystemClock())
    await store.open()
    claims = {each.follower: each for each in await claiming.attend(store, "ann", ["words", "numbers"], 60)}
    waiter = PositionWaiter(partial(checkpoints.position, store))
    watcher = StandingsWatcher(store, waiter, SystemClock())
    task = asyncio.create_task(watcher.run())
    try:
        async with asyncio.timeout(30):
            yield store, waiter, watcher, claims
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await store.close()


def test_however_many_wait_one_looks(tmp_path: Path) -> None:
    """A hundred who wait for a move cost what one does, and all of them are told of it."""

    async def scenario() -> None:
        async with looking(tmp_path) as (store, waiter, watcher, claims):
            known = dict(await watcher.wait(None))
            waiting = [asyncio.create_task(watcher.wait({"words": known["words"]})) for _ in range(100)]
            other = asyncio.create_task(watcher.wait({"numbers": known["numbers"]}))
            await asyncio.sleep(0)
            looks = store.looks
            await store.commit(Checkpoint(claims["words"], 1))
            waiter.advance("words", 1)
            told = await asyncio.gather(*waiting)
            assert {each["words"].position for each in told} == {1}
            assert store.looks - looks < 10
            # Who waits for another one is left alone.
            assert not other.done()
            other.cancel()

    asyncio.run(scenario())


def test_what_another_process_follows_is_found_by_looking(tmp_path: Path) -> None:
    """Nobody tells of it here."""

    async def scenario() -> None:
        async with looking(tmp_path) as (store, _, watcher, claims):
            known = await watcher.wait(None)
            for position in range(1, 4):
                await store.commit(Checkpoint(claims["words"], position))
                known = await watcher.wait({"words": known["words"]})
                assert known["words"].position == position

    asyncio.run(scenario())


def test_that_it_cannot_be_seen_is_told_until_it_can(tmp_path: Path) -> None:
    """Whoever waits hears of the database's failure, and afterwards of what moved meanwhile."""

    async def scenario() -> None:
        async with looking(tmp_path) as (store, _, watcher, claims):
            known = await watcher.wait(None)
            store.away = True
            with pytest.raises(LogUnavailable, match="away"):
                await watcher.wait({"words": known["words"]})
            await store.commit(Checkpoint(claims["words"], 1))
            store.away = False
            while True:
                with suppress(LogUnavailable):
                    known = await watcher.wait({"words": known["words"]})
                    break
                await asyncio.sleep(0.01)
            assert known["words"].position == 1

    asyncio.run(scenario())
