"""Views that are new, or new versions: they answer once they are whole, and until then something else does, or nothing."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.rebuilt_tallies import Add
from tests.support.two_versions import Count, Find, first, rolled_out, second, service, wider
from twofold.errors import LeaseLost, ReceiptTimeout, ViewNotReady
from twofold.followers import Checkpoint, checkpoints, claiming
from twofold.http import asgi
from twofold.operations.databases import Databases
from twofold.operations.rebuilding import begin_rebuild
from twofold.queries import Freshness
from twofold.service import Running, Settings
from twofold.service.opening import opened
from twofold.views import replacing
from twofold.views.replacing import HELD


def files(folder: Path) -> Settings:
    return Settings(log=f"sqlite:///{folder}/log.db", views=f"sqlite:///{folder}/views.db")


async def fill(folder: Path, view: type[Any] | None, events: int = 3) -> None:
    """Have a process append events, and end once its view has seen them."""
    async with service(view).run(files(folder)) as running:
        for _ in range(events):
            receipt = await running.send(Add(tally="a"))
        if view is not None:
            await running.ask(Find(tally="a"), after=receipt)


@asynccontextmanager
async def starting(folder: Path, view: type[Any]) -> AsyncIterator[Running]:
    """Run a process that follows nothing yet."""
    async with opened(service(view).declaration, files(folder)) as running:
        yield running


def test_a_new_version_takes_over_in_a_rolling_deployment(tmp_path: Path) -> None:
    """Old and new code at once: both answer, never from before what they said last; in the end the old table is gone."""
    asyncio.run(rolled_out(files(tmp_path)))


@pytest.mark.parametrize(("before", "after"), [(first, wider), (None, first)], ids=["a wider version", "a new view"])
def test_what_nothing_else_can_answer_is_waited_for(tmp_path: Path, before: Any, after: Any) -> None:
    """As long as the caller has patience; then it is told how far the view is, and readiness tells the same."""

    async def scenario() -> None:
        await fill(tmp_path, before and before())
        view = after()
        async with starting(tmp_path, view) as running:
            table = f"tally_v{view.state_version}"
            how_far = f"{table} is being filled: it is at position 0 of 3."
            with pytest.raises(ViewNotReady, match=how_far):
                await running.ask(Find(tally="a"), timeout_seconds=0)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(asgi(running)), base_url="http://test") as http:
                ready = await http.get("/health/ready")
                assert (ready.status_code, ready.json()["services"][0]["failing"]) == (503, {table: how_far})
                refused = await http.get("/queries/Find?tally=a", headers={"Prefer": "wait=0"})
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
                assert refused.json()["type"] == "urn:twofold:problem:view-not-ready"
                assert refused.json()["detail"].startswith(how_far)
                asking = asyncio.create_task(running.ask(Count(), timeout_seconds=60))
                running.follow()
                assert await asking == 3
                async with asyncio.timeout(60):
                    while (await http.get("/health/ready")).status_code != 200:
                        await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_an_earlier_version_that_is_not_whole_itself_does_not_answer(tmp_path: Path) -> None:
    """It was being filled when the next one came."""

    async def scenario() -> None:
        await fill(tmp_path, None)
        async with starting(tmp_path, first()), starting(tmp_path, second()) as running:
            await claiming.attend(running.views, "somebody", ["tally_v1"], 60)
            with pytest.raises(ViewNotReady):
                await running.ask(Find(tally="a"), timeout_seconds=0)

    asyncio.run(scenario())


def test_a_receipt_that_only_the_new_version_can_reach_is_kept(tmp_path: Path) -> None:
    """Nobody follows the old one any more: without a receipt it answers, with one the new one has to."""

    async def scenario() -> None:
        await fill(tmp_path, first())
        async with starting(tmp_path, second()) as running:
            assert await running.ask(Find(tally="a")) == 3
            receipt = await running.send(Add(tally="a"))
            assert await running.ask(Find(tally="a")) == 3
            with pytest.raises(ViewNotReady):
                await running.ask(Find(tally="a"), after=receipt, timeout_seconds=0)
            asking = asyncio.create_task(running.ask(Find(tally="a"), after=receipt, timeout_seconds=60))
            running.follow()
            assert await asking == 4

    asyncio.run(scenario())


def test_a_view_of_a_new_service_answers_at_once(tmp_path: Path) -> None:
    """In front of an empty log there is nothing to wait for, then or later; and who has caught up once never waits again."""

    async def scenario() -> None:
        async with starting(tmp_path, first()) as running:
            assert await running.ask(Find(tally="a"), timeout_seconds=0) == 0
            await running.send(Add(tally="a"))
            assert await running.ask(Find(tally="a"), timeout_seconds=0) == 0
            assert await running.view_versions.how_far() == {}
        await fill(tmp_path, None)
        async with starting(tmp_path, first()) as running:
            assert await running.ask(Find(tally="a"), timeout_seconds=0) == 0

    asyncio.run(scenario())


def test_what_was_followed_before_this_was_known_counts_as_whole(tmp_path: Path) -> None:
    """A database of an earlier release is brought up to date, and answers as it did."""

    async def scenario() -> None:
        await fill(tmp_path, first())
        connection = sqlite3.connect(tmp_path / "views.db")
        with connection:
            connection.execute("DROP TABLE twofold_caught_up")
            connection.execute("ALTER TABLE twofold_parked DROP COLUMN retry_at")
            connection.execute("PRAGMA user_version = 2")
        connection.close()
        await fill(tmp_path, None, 1)
        async with starting(tmp_path, first()) as running:
            assert await running.ask(Find(tally="a"), timeout_seconds=0) == 3

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("behind", "owner", "held"),
    [(1, "", True), (2000, "", True), (2001, "", False), (1, "another", False)],
    ids=["close", "just close", "far", "of another process"],
)
def test_a_view_is_held_for_a_shadow_that_is_close_again_and_again(
    tmp_path: Path, behind: int, owner: str, held: bool
) -> None:
    """By whoever follows the shadow, once in a while: it passes what does not move, and takes over."""

    async def scenario() -> None:
        async with starting(tmp_path, first()) as running:
            views, coordinator = running.views, running.coordinator
            (live,) = await claiming.attend(views, "somebody", ["tally_v1"], 60)
            await begin_rebuild(Databases(running.declaration, running.log, views, running.clock), "tally_v1")
            (shadow,) = await claiming.attend(views, owner or coordinator.owner, ["tally_v1:rebuild"], 60)
            found = []
            for moved in range(1, 7):
                await views.commit(Checkpoint(live, 5000 + moved))
                await views.commit(Checkpoint(shadow, 5000 + moved - behind))
                assert await running.background._takeover._look()
                found.append(HELD in {each.owner for each in await checkpoints.progress(views)})
                if found[-1]:
                    break
            assert found == ([False, False, True] if held else [False] * 6)
            if held:
                with pytest.raises(LeaseLost):
                    await views.commit(Checkpoint(live, 6000))
            await views.commit(Checkpoint(shadow, 5000 + moved))
            await running.background._takeover._look()
            assert [each.follower for each in await checkpoints.progress(views)] == ["tally_v1"]
            assert await checkpoints.position(views, "tally_v1") == 5000 + moved

    asyncio.run(scenario())


def test_a_table_that_was_dropped_while_its_code_started_is_made_again(tmp_path: Path) -> None:
    """Whoever goes back to an old version may do so at the moment in which others see that nobody has it."""

    async def scenario() -> None:
        await fill(tmp_path, first())
        async with starting(tmp_path, first()) as running:
            assert await replacing.drop(running.views, "tally_v1", ["tally_v1"])
            running.follow()
            receipt = await running.send(Add(tally="a"))
            assert await running.ask(Find(tally="a"), after=receipt, timeout_seconds=60) == 4

    asyncio.run(scenario())


def test_a_table_answers_from_no_earlier_than_its_predecessor_did_last(tmp_path: Path) -> None:
    """Also if that was read until a moment ago, and somebody else waited meanwhile for where it had been read before."""

    async def scenario() -> None:
        await fill(tmp_path, first())
        async with starting(tmp_path, second()) as running, AsyncExitStack() as stack:
            versions, views = running.view_versions, running.views
            patient = Freshness(0, running.clock.monotonic() + 60)
            (claim,) = await claiming.attend(views, "somebody", ["tally_v2"], 60)
            async with versions.read(["tally_v2"], patient) as names:
                assert names == {"tally_v2": "tally_v1"}
            earlier = await stack.enter_async_context(AsyncExitStack())
            await earlier.enter_async_context(versions.read(["tally_v2"], patient))
            await checkpoints.mark_caught_up(views, ["tally_v2"])
            waiting = asyncio.create_task(stack.enter_async_context(versions.read(["tally_v2"], patient)))
            while await versions.unready():
                await asyncio.sleep(0)
            await fill(tmp_path, first(), 1)
            await earlier.aclose()
            await views.commit(Checkpoint(claim, 3))
            assert await waiting == {}
            with pytest.raises(ReceiptTimeout, match="tally_v2 is at position 3 and not yet at 4"):
                await running.ask(Find(tally="a"), timeout_seconds=0)
            await views.commit(Checkpoint(claim, 4))
            assert await running.ask(Find(tally="a"), timeout_seconds=60) == 0

    asyncio.run(scenario())
