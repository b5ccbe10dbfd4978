"""Several processes that serve at one address, and the parent that keeps them running."""

import os
import signal
import socket
import sys
from typing import Any

import httpx
import msgspec
import pytest

from tests.cli.conftest import CommandLine, Service

BANK = "examples.bank:bank"


def log_until(service: Service, text: str) -> list[dict[str, Any]]:
    """Return what is logged from now on, up to the line that has the text."""
    logged = []
    for line in service.process.stderr:
        logged.append(msgspec.json.decode(line))
        if text in logged[-1]["message"]:
            return logged
    pytest.fail(f"{text!r} was not logged: {logged}")


def processes(logged: list[dict[str, Any]]) -> dict[int, int]:
    """Return the numbers of workers that have come to serving, and their processes."""
    found = {}
    for line in logged:
        words = line["message"].strip(".").split()
        if words[0] == "Worker" and "serves," in words:
            found[int(words[1])] = int(words[-1])
    return found


def test_workers_are_one_service(twofold: CommandLine) -> None:
    """Whichever takes a command, and whichever is asked: the receipt of one is good at the other."""
    with twofold.serving(BANK, "--workers", "2") as bank:
        assert set(processes(bank.started_with)) == {1, 2}
        # Each request has a connection of its own, which falls to one of the two.
        bank.http.headers["Connection"] = "close"
        for amount in range(1, 21):
            receipt = bank.send("Deposit", account="ann", amount=1)
            assert bank.ask("BalanceOf", receipt, account="ann")["amount"] == amount
        # They share a port with each other, and with nobody else.
        other = twofold("run", BANK, "--port", str(bank.http.base_url.port), "--workers", "1", "--log-level", "error")
        assert "cannot be listened on: Address already in use." in other.complaint
        code, logged = bank.end()
    assert code == 0
    assert {line.get("worker"): line["message"] for line in logged} == {
        1: "bank ended.", 2: "bank ended.", None: "All workers ended."
    }  # fmt: skip


def test_connections_are_dealt_out_to_all_workers(twofold: CommandLine) -> None:
    """None takes all that comes at once; each line in the log says whose it is, and nobody reads those meanwhile."""
    if sys.platform != "linux":
        pytest.skip("Only Linux deals connections out to several sockets.")
    twofold.write(
        "failing.py",
        "from twofold import Query, Service, Views, answer\n"
        "class Fail(Query[int]): pass\n"
        "@answer\n"
        "async def fail(query: Fail, views: Views) -> int: return 1 // 0\n"
        "failing = Service('failing', queries=[fail])\n",
    )
    with twofold.serving("failing:failing", "--workers", "2") as failing:
        failing.http.headers["Connection"] = "close"
        for _ in range(14):
            assert failing.http.get("queries/Fail").status_code == 500
        code, logged = failing.end(signal.SIGINT)
    assert code == 0
    failures = [line["worker"] for line in logged if line["level"] == "error"]
    assert (len(failures), set(failures)) == (14, {1, 2})


def test_a_worker_that_ends_is_started_again(twofold: CommandLine) -> None:
    """Loudly if it was killed, and quietly if it was asked to end: so workers can be renewed one by one."""
    with twofold.serving(BANK, "--workers", "2") as bank:
        places = processes(bank.started_with)
        bank.send("Deposit", account="ann", amount=1)
        for number, how, code, level in ((1, signal.SIGKILL, 137, "error"), (2, signal.SIGTERM, 0, "info")):
            os.kill(places[number], how)
            logged = log_until(bank, f"Worker {number} serves")
            (ended,) = [line for line in logged if "is started again" in line["message"]]
            assert ended["message"].startswith(f"Worker {number} (process {places[number]}) ended with {code}, and ")
            assert ended["level"] == level
            assert processes(logged)[number] != places[number]
        with httpx.Client(base_url=bank.http.base_url) as http:
            headers = {"Twofold-Receipt": "bank@1"}
            assert http.get("/queries/BalanceOf?account=ann", headers=headers).json()["amount"] == 1
        assert bank.end()[0] == 0


def test_workers_end_when_their_parent_is_killed(twofold: CommandLine) -> None:
    """Nobody is left who would hold the port and answer for a service that its supervisor takes for dead."""
    with twofold.serving(BANK, "--workers", "2") as bank:
        _, logged = bank.end(signal.SIGKILL)  # Which reads to the end: until nobody has the log open.
    said = [(line["worker"], line["message"]) for line in logged]
    assert sorted(said) == [
        (number, message)
        for number in (1, 2)
        for message in ("The parent of this worker is gone, so it ends.", "bank ended.")
    ]
    address = (bank.http.base_url.host, bank.http.base_url.port or 0)
    with socket.create_server(address):
        pass


def test_workers_that_cannot_start_end_with_what_is_wrong(twofold: CommandLine) -> None:
    """As one process does: the first start shows whether the settings are right."""
    twofold.write("folder", "a file where a folder should be")
    twofold.environment["TWOFOLD_LOG"] = "sqlite:///folder/bank.db"
    found = twofold("run", BANK, "--port", "0", "--workers", "2", "--log-level", "error")
    assert (found.code, found.output) == (2, "")
    assert all("folder/bank.db: " in line for line in found.errors.splitlines())
    assert found.errors


def test_what_is_in_memory_is_not_for_workers(twofold: CommandLine) -> None:
    """Each would have a service of its own."""
    twofold.environment["TWOFOLD_VIEWS"] = "memory:"
    said = twofold("run", BANK, "--port", "0", "--workers", "2").complaint
    assert said.startswith(
        "twofold: bank keeps its log or its views in memory, of which each worker would have its own."
    )
