"""Serving as a process: where it listens, how it ends, and that nothing is lost when it does."""

import asyncio
import http.client
import json
import re
import signal
import socket
import sqlite3
import threading
import time
from pathlib import Path

import httpx
import pytest

from examples.bank import bank
from tests.http.conftest import files, use_files
from tests.support.serving import ServingProcess, served
from twofold.errors import LogUnavailable, SettingsError
from twofold.http import asgi, serve

JSON = {"Content-Type": "application/json"}
HEAD = b"Host: localhost\r\nContent-Type: application/json\r\n"
DEPOSIT = {"account": "ann", "amount": 1}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_five_seconds_whoever_is_connected(tmp_path: Path, how: signal.Signals) -> None:
    """An idle connection, one that waits for news, and one that never sends the rest of its body do not hold it up."""
    with ServingProcess("examples.bank:bank", files(tmp_path)) as process, httpx.Client(base_url=process.url) as idle:
        assert idle.get("/health/live").status_code == 200
        address = ("127.0.0.1", int(process.url.rpartition(":")[2]))
        with socket.create_connection(address) as polling, socket.create_connection(address) as slow:
            polling.sendall(b"GET /feed?wait=30 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            slow.sendall(b"POST /commands/Deposit HTTP/1.1\r\n" + HEAD + b"Content-Length: 50\r\n\r\n{")
            wait_until_read(process.url)
            began = time.monotonic()
            code, said, complained = process.end(how)
            took = time.monotonic() - began
            # Who waited for news hears that there are none, and who was in the middle what to do.
            assert everything(polling).endswith(b'\r\n\r\n{"source":"bank","events":[],"position":0}')
            assert everything(slow).startswith(b"HTTP/1.1 503 ")
    assert (code, said) == (0, "ended\n"), complained
    assert took < 5
    assert "Traceback" not in complained


def everything(connection: socket.socket) -> bytes:
    """Return what is received until the other side closes."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def wait_until_read(url: str) -> None:
    """Return when the server has taken in what was sent before: it answers in order of arrival."""
    for _ in range(3):
        assert httpx.get(f"{url}/health/ready").status_code == 200


def test_what_is_under_way_is_finished(tmp_path: Path) -> None:
    """Each command that was answered with a receipt is in the log, and no other got one."""
    receipts: list[str] = []

    def send(url: str) -> None:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
        try:
            while True:
                connection.request("POST", "/commands/Deposit", json.dumps(DEPOSIT), JSON)
                response = connection.getresponse()
                document = json.loads(response.read())
                if response.status != 200:
                    return
                receipts.append(document["receipt"])
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()

    with ServingProcess("examples.bank:bank", files(tmp_path)) as process:
        clients = [threading.Thread(target=send, args=(process.url,)) for _ in range(4)]
        for client in clients:
            client.start()
        while len(receipts) < 100:
            assert any(client.is_alive() for client in clients)
            time.sleep(0.01)
        code, _, complained = process.end(signal.SIGTERM)
        for client in clients:
            client.join()
    assert code == 0, complained
    connection = sqlite3.connect(tmp_path / "bank.db")
    head = connection.execute("SELECT max(position) FROM events").fetchone()[0]
    connection.close()
    assert sorted(int(receipt.partition("@")[2]) for receipt in receipts) == list(range(1, head + 1))


def wait_until_refused(address: tuple[str, int]) -> None:
    """Return when the server has taken note that it is to end."""
    while True:
        try:
            socket.create_connection(address).close()
        except ConnectionRefusedError:
            return


def test_sigterm_twice_is_sigterm_once(tmp_path: Path) -> None:
    """Who ends a process and its group with it does not cut off what is under way, and leaves no trace in the log."""
    with ServingProcess("examples.bank:bank", files(tmp_path)) as process:
        address = ("127.0.0.1", int(process.url.rpartition(":")[2]))
        with socket.create_connection(address) as slow:
            slow.sendall(b"POST /commands/Deposit HTTP/1.1\r\n" + HEAD + b"Content-Length: 29\r\n\r\n{")
            wait_until_read(process.url)
            process.tell(signal.SIGTERM)
            wait_until_refused(address)
            process.tell(signal.SIGTERM)
            slow.sendall(b'"account":"ann","amount":12}')
            assert everything(slow).startswith(b"HTTP/1.1 200 ")
        code, said, complained = process.end(signal.SIGTERM)
    assert (code, said) == (0, "ended\n")
    (new,) = complained.splitlines()
    assert "begins with an empty log" in new


def test_it_starts_again_where_it_was(tmp_path: Path) -> None:
    """Killed without a warning: what was acknowledged is there, and the key of a command is still known."""
    with ServingProcess("examples.bank:bank", files(tmp_path)) as process:
        for number in range(10):
            sent = httpx.post(f"{process.url}/commands/Deposit", json=DEPOSIT, headers={"Idempotency-Key": f"{number}"})
        process.end(signal.SIGKILL)
        process.start()
        again = httpx.post(f"{process.url}/commands/Deposit", json=DEPOSIT, headers={"Idempotency-Key": "9"})
        assert again.json() == sent.json() == {"receipt": "bank@10"}
        answer = httpx.get(f"{process.url}/queries/BalanceOf?account=ann", headers={"Twofold-Receipt": "bank@10"})
        assert answer.json()["amount"] == 10


def test_a_thousand_times_in_a_row_a_query_sees_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over HTTP, in files, with nothing between the two but the receipt."""
    use_files(tmp_path, monkeypatch)
    with served(bank) as url, httpx.Client(base_url=url) as client:
        for number in range(1, 1001):
            receipt = client.post("/commands/Deposit", json=DEPOSIT).headers["Twofold-Receipt"]
            answer = client.get("/queries/BalanceOf?account=ann", headers={"Twofold-Receipt": receipt})
            assert answer.json()["amount"] == number


def test_a_view_that_is_not_there_in_time_is_a_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How long to wait is the caller's choice; the answer says where the view is, and to ask again."""
    use_files(tmp_path, monkeypatch)
    with served(bank) as url, httpx.Client(base_url=url, timeout=60) as client:
        client.post("/commands/Deposit", json=DEPOSIT)
        # Another process holds the views' file, as a backup does.
        holder = sqlite3.connect(tmp_path / "bank-views.db", isolation_level=None, timeout=30)
        holder.execute("BEGIN IMMEDIATE")
        receipt = client.post("/commands/Deposit", json=DEPOSIT).headers["Twofold-Receipt"]
        headers = {"Twofold-Receipt": receipt, "Prefer": "respond-async, wait=1"}
        response = client.get("/queries/BalanceOf?account=ann", headers=headers)
        assert (response.status_code, response.headers["Retry-After"]) == (504, "1")
        document = response.json()
        assert document["type"] == "urn:twofold:problem:receipt-timeout"
        assert "balance_v1 is at position" in document["detail"]
        # What came before the waiting is part of the second.
        assert re.search(r"after (1|0\.9\d*) seconds", document["detail"])
        holder.execute("ROLLBACK")
        holder.close()
        headers["Prefer"] = "wait=99"
        assert client.get("/queries/BalanceOf?account=ann", headers=headers).json()["amount"] == 2


def test_a_taken_port_is_said_with_what_to_do() -> None:
    """Before anything has started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"127\.0\.0\.1:{port} cannot be listened on: .*--port"):
            asyncio.run(serve(asgi(bank), port=port))


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("nowhere.invalid", 0)])
def test_an_address_that_cannot_be_is_said(host: str, port: int) -> None:
    """No trace of a socket's own error is needed to understand it."""
    with pytest.raises(SettingsError, match=f"{host}:{port} cannot be listened on"):
        asyncio.run(serve(asgi(bank), host=host, port=port))


def test_a_service_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Served as a service it raises its own error; as an application, whose lifespan hides it, one that points to the log."""
    monkeypatch.setenv("TWOFOLD_LOG", f"sqlite:///{tmp_path}")
    monkeypatch.setenv("TWOFOLD_VIEWS", "memory:")
    with pytest.raises(LogUnavailable, match=str(tmp_path)):
        asyncio.run(serve(bank, port=0))
    with pytest.raises(SettingsError, match="did not start"):
        asyncio.run(serve(asgi(bank), port=0))


def test_it_listens_on_ipv6(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL has the address in brackets."""
    if not socket.has_ipv6:
        pytest.skip("This machine has no IPv6.")
    use_files(tmp_path, monkeypatch)
    urls: list[str] = []

    async def scenario() -> None:
        ready = asyncio.Event()

        def tell(url: str) -> None:
            urls.append(url)
            ready.set()

        serving = asyncio.create_task(serve(bank, host="::1", port=0, ready=tell))
        await ready.wait()
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{urls[0]}/health/live")).status_code == 200
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving

    asyncio.run(scenario())
    assert urls[0].startswith("http://[::1]:")
