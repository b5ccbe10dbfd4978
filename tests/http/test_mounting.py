"""In an application of somebody else: a real FastAPI, with routes of its own beside the service's."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from examples.bank import Deposit, bank
from tests.http.conftest import files, use_files
from tests.http.message_shapes import shapes
from tests.support.serving import ROOT, served
from twofold import System
from twofold.http import asgi


def test_a_service_mounts_into_a_fastapi_application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lifespan runs the service, its routes call it, and all paths of the edge are below the mount."""
    use_files(tmp_path, monkeypatch)
    app = FastAPI(lifespan=bank.lifespan)

    @app.post("/salaries/{account}")
    async def pay(account: str) -> str:
        return str(await bank.send(Deposit(account=account, amount=100)))

    app.mount("/bank", asgi(bank))
    with served(app) as url, httpx.Client(base_url=url) as http:
        assert http.post("/salaries/ann").json() == "bank@1"
        receipt = http.post("/bank/commands/Deposit", json={"account": "ann", "amount": 5}).headers["Twofold-Receipt"]
        asked = http.get("/bank/queries/BalanceOf?account=ann", headers={"Twofold-Receipt": receipt})
        assert asked.json() == {"key": "ann", "owner": "", "amount": 105}
        assert http.get("/bank/health/ready").status_code == 200
        assert http.get("/bank/openapi.json").json()["servers"] == [{"url": "/bank"}]
        assert http.get("/bank/docs").status_code == 200
        problem = http.post("/bank/commands/Deposit", json={}).json()
        assert (problem["status"], problem["instance"]) == (422, "/bank/commands/Deposit")
        assert http.get("/bank/nothing").json()["type"] == "urn:twofold:problem:not-found"
        assert "/salaries/{account}" in http.get("/openapi.json").json()["paths"]


def test_several_services_mount_beside_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system's application is one more application; its own lifespan runs the services."""
    use_files(tmp_path, monkeypatch)
    system = asgi(System(bank, shapes))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with system.lifespan_context(system):
            yield

    app = FastAPI(lifespan=lifespan)
    app.mount("/services", system)
    with served(app) as url, httpx.Client(base_url=url) as http:
        assert http.post("/services/bank/commands/Deposit", json={"account": "ann", "amount": 5}).status_code == 200
        assert http.get("/services/shapes/openapi.json").json()["servers"] == [{"url": "/services/shapes"}]
        assert http.get("/services/").json()["services"]["bank"] == "bank/docs"
        ready = http.get("/services/health/ready").json()
        assert [each["service"] for each in ready["services"]] == ["bank", "shapes"]


def test_a_mounted_service_that_nobody_runs_says_how_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lifespan was forgotten: each answer names it, and readiness does."""
    use_files(tmp_path, monkeypatch)
    app = FastAPI()
    app.mount("/bank", asgi(bank))
    with served(app) as url, httpx.Client(base_url=url) as http:
        response = http.post("/bank/commands/Deposit", json={"account": "ann", "amount": 5})
        assert response.status_code == 503
        assert "FastAPI(lifespan=bank.lifespan)" in response.json()["detail"]
        assert http.get("/bank/health/ready").status_code == 503


def test_any_asgi_server_serves_it_by_its_name(tmp_path: Path) -> None:
    """uvicorn's own command line: the application's lifespan starts the service, by the settings in the environment."""
    (tmp_path / "application.py").write_text(
        "from examples.bank import bank\nfrom twofold.http import asgi\n\napplication = asgi(bank)\n"
    )
    environment = {**os.environ, **files(tmp_path), "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "application:application",
        "--port",
        "0",
        "--root-path",
        "/behind/a/proxy",
    ]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        started = next(line for line in process.stderr if "running on" in line)
        url = next(word for word in started.split() if word.startswith("http://"))
        response = httpx.post(f"{url}/commands/Deposit", json={"account": "ann", "amount": 5})
        assert response.json() == {"receipt": "bank@1"}
        assert httpx.get(f"{url}/openapi.json").json()["servers"] == [{"url": "/behind/a/proxy"}]
    finally:
        process.terminate()
        process.communicate(timeout=30)
