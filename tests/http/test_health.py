"""Liveness and readiness: 200 only while the log and the views can be read and every follower follows."""

import asyncio
import sqlite3
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from tests.http.message_shapes import HowMany, Make, shapes
from twofold import Receipt
from twofold.clock import SystemClock
from twofold.followers import claiming
from twofold.http import asgi
from twofold.service import Role, Running, Settings
from twofold.service.adapters import open_views

MEMORY = Settings(log="memory:", views="memory:")


def files(folder: Path) -> Settings:
    return Settings(log=f"sqlite:///{folder}/log.db", views=f"sqlite:///{folder}/views.db")


def client(running: Running) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(asgi(running)), base_url="http://test")


def test_a_service_that_runs_is_ready() -> None:
    """With the position that its log has reached."""

    async def scenario() -> None:
        async with shapes.run(MEMORY) as running, client(running) as http:
            assert (await http.get("/health/live")).json() == {"status": "live"}
            response = await http.get("/health/ready")
            assert response.status_code == 200
            document = response.json()
            assert document["status"] == "ready"
            (state,) = document["services"]
            state["views"]["total_v1"].pop("followed")
            view = {"total_v1": {"position": 0, "behind": 0}}
            assert state == {"service": "shapes", "head": 0, "failing": {}, "views": view}

    asyncio.run(scenario())


def test_a_service_that_does_not_run_is_live_and_not_ready() -> None:
    """It may still come; the reason says what it waits for."""

    async def scenario() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(asgi(shapes)), base_url="http://test") as http:
            assert (await http.get("/health/live")).status_code == 200
            response = await http.get("/health/ready")
            assert response.status_code == 503
            (state,) = response.json()["services"]
            assert state["service"] == "shapes"
            assert "is not running" in state["failing"]["service"]

    asyncio.run(scenario())


def test_a_follower_that_fails_is_the_reason_for_as_long_as_it_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A view whose table is gone makes the service unready, by name; once the table is back, it is ready by itself."""

    async def scenario() -> None:
        async with shapes.run(files(tmp_path)) as running, client(running) as http:
            made = {"thing": "cup", "count": 1, "price": "1"}
            await http.post("/commands/Make", json=made)
            # A table that is gone while its service starts is made again, so it has to have started.
            await http.get("/queries/HowMany?thing=cup", headers={"Twofold-Receipt": "shapes@1"})
            await change(tmp_path / "views.db", "ALTER TABLE total_v1 RENAME TO elsewhere")
            await http.post("/commands/Make", json=made)
            failing = await until(http, 503)
            assert list(failing) == ["total_v1"]
            # Who asks might be anybody.
            assert failing["total_v1"] == "it fails, and tries again: the log of the process says why"
            assert "no such table" in caplog.text
            await change(tmp_path / "views.db", "ALTER TABLE elsewhere RENAME TO total_v1")
            assert await until(http, 200) == {}
            answer = await http.get("/queries/HowMany?thing=cup", headers={"Twofold-Receipt": "shapes@2"})
            assert answer.json() == 2

    asyncio.run(scenario())


async def change(file: Path, statement: str) -> None:
    connection = sqlite3.connect(file, timeout=30)
    with connection:
        connection.execute(statement)
    connection.close()


async def until(http: httpx.AsyncClient, status: int) -> dict[str, str]:
    """Return what is failing once readiness has a status; what never has it is a failure, and not a longer wait."""
    async with asyncio.timeout(30):
        while True:
            response = await http.get("/health/ready")
            if response.status_code == status:
                failing: dict[str, str] = response.json()["services"][0]["failing"]
                return failing
            await asyncio.sleep(0.01)


def test_a_log_or_views_that_cannot_be_read_are_the_reason(tmp_path: Path) -> None:
    """Either alone is enough, and it is named; the process is live all the same."""

    async def scenario() -> None:
        async with shapes.run(files(tmp_path)) as running, client(running) as http:
            for broken, what in ((running.log.store, "log"), (running.views, "views")):
                await broken.close()
                response = await http.get("/health/ready")
                assert response.status_code == 503
                assert what in response.json()["services"][0]["failing"]
                assert str(tmp_path) not in response.text
                assert (await http.get("/health/live")).status_code == 200

    asyncio.run(scenario())


def test_a_process_that_answers_is_not_ready_while_nobody_follows(tmp_path: Path) -> None:
    """Its answers would stay as they are for ever. It says how far the views are, in events and seconds."""

    async def scenario() -> None:
        settings = files(tmp_path)
        async with shapes.run(settings) as running:
            await running.send(Make(thing="cup", count=1, price=Decimal(1)))
            await running.ask(HowMany(thing="cup"), after=Receipt("shapes", 1))
        roles: tuple[Role, ...] = ("commands", "queries")
        async with shapes.run(settings, roles=roles) as running, client(running) as http:
            await http.post("/commands/Make", json={"thing": "cup", "count": 1, "price": "1"})
            assert "nobody follows it" in (await until(http, 503))["total_v1"]
            (state,) = (await http.get("/health/ready")).json()["services"]
            assert state["views"] == {"total_v1": {"position": 1, "behind": 1, "followed": False}}
            assert state["behind_seconds"] >= 0
            async with shapes.run(settings, roles=["followers"]):
                assert await until(http, 200) == {}

    asyncio.run(scenario())


def test_a_view_is_followed_while_a_process_is_there_for_it(tmp_path: Path) -> None:
    """Whoever has its segments: while they change hands, or wait to be merged, nobody has, and nothing is wrong."""

    async def scenario() -> None:
        settings = files(tmp_path)
        async with shapes.run(settings):
            pass
        clock = SystemClock()
        followers = open_views(settings.views, clock)
        await followers.open()
        async with shapes.run(settings, roles=["queries"]) as running, client(running) as http:
            (claim,) = await claiming.attend(followers, "somebody", ["total_v1"], 60)
            assert await until(http, 200) == {}
            await claiming.release(followers, claim)
            assert [each.owner for each in await running.progress()] == [""]
            assert (await http.get("/health/ready")).status_code == 200
            await claiming.leave(followers, "somebody")
            assert "nobody follows it" in (await until(http, 503))["total_v1"]
        await followers.close()

    asyncio.run(scenario())
