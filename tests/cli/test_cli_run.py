import signal
import socket
import sqlite3
from collections.abc import Callable

import pytest

from tests.cli.conftest import CommandLine, Service

BANK = "examples.bank:bank"


def messages(logged: list[dict[str, object]]) -> list[object]:
    return [line["message"] for line in logged]


def test_a_service_is_served_until_sigterm(twofold: CommandLine) -> None:
    """It answers, ends with 0 when asked to, and says both in its log."""
    with twofold.serving(BANK) as bank:
        receipt = bank.send("Deposit", account="ann", amount=5)
        assert bank.ask("BalanceOf", receipt, account="ann") == {"key": "ann", "owner": "", "amount": 5}
        code, logged = bank.end()
    assert code == 0
    assert messages(logged) == ["bank ended."]
    empty, runs, *_ = messages(bank.started_with)
    assert str(empty).startswith("bank begins with an empty log at sqlite:///bank.db (/")
    assert runs == "bank runs; its log is at position 0"


def test_who_may_come_in_is_said_in_the_environment(twofold: CommandLine) -> None:
    """Names and sites are as many as wanted; all others stay outside."""
    twofold.environment["TWOFOLD_ALLOWED_HOSTS"] = "shop.example, *.shop.internal"
    twofold.environment["TWOFOLD_ALLOWED_ORIGINS"] = "https://shop.example, https://admin.example:8443"
    with twofold.serving(BANK) as bank:

        def status(**headers: str) -> int:
            return bank.http.post("commands/Deposit", json={"account": "ann", "amount": 1}, headers=headers).status_code

        assert status() == 200
        assert [status(Host=host) for host in ("shop.example", "a.shop.internal:8000", "localhost")] == [200] * 3
        assert [status(Host=host) for host in ("shop.internal", "evil.example")] == [421] * 2
        assert [status(Origin=each) for each in ("https://shop.example", "https://admin.example:8443")] == [200] * 2
        assert [status(Origin=each) for each in ("http://shop.example", "https://admin.example")] == [403] * 2


@pytest.mark.parametrize(
    ("name", "value", "example"),
    [
        ("TWOFOLD_ALLOWED_HOSTS", "https://shop.example", "shop.example.org,*.shop.internal"),
        ("TWOFOLD_ALLOWED_ORIGINS", "shop.example", "https://shop.example.org"),
        ("TWOFOLD_MAX_BODY_BYTES", "1MB", "1048576"),
    ],
)
def test_what_the_edge_is_told_is_checked_before_anything_starts(
    twofold: CommandLine, name: str, value: str, example: str
) -> None:
    """The complaint names the variable and shows how it is written."""
    twofold.environment[name] = value
    for arguments in ([], ["--workers", "2"]):
        complaint = twofold("run", BANK, "--port", "0", *arguments).complaint
        assert repr(value) in complaint
        assert complaint.endswith(f"For example {name}={example}")
    assert not list(twofold.folder.iterdir())


def test_ctrl_c_ends_a_service_like_sigterm(twofold: CommandLine) -> None:
    """Who tries it in a terminal sees no trace either."""
    with twofold.serving(BANK) as bank:
        code, logged = bank.end(signal.SIGINT)
    assert (code, messages(logged)) == (0, ["bank ended."])


def test_a_system_serves_each_service_under_its_name(twofold: CommandLine) -> None:
    """The log says where each is; their events travel between them."""
    with twofold.serving("examples.shop:shop") as shop:
        root = str(shop.http.base_url).removesuffix("/sales/")
        assert shop.http.get(f"{root}/stock/health/ready").json()["status"] == "ready"
        said = messages(shop.started_with)[-1]
        _, logged = shop.end()
    addresses = [str(said), *map(str, messages(logged)[:3])]
    assert [address.split(";")[0].rpartition("/")[2] for address in addresses] == [
        "sales", "stock", "ledger", "reporting"
    ]  # fmt: skip
    assert messages(logged)[-1] == "sales, stock, ledger, reporting, payments, shipping ended."
    assert {line["service"] for line in logged} == {"shop"}


def test_processes_share_a_service_by_roles(twofold: CommandLine) -> None:
    """One decides and carries, one fills views, one answers; together they do what one does with all roles."""
    with (
        twofold.serving(BANK, "--role", "commands", "--role", "relay") as deciding,
        twofold.serving(BANK, "--role", "followers"),
        twofold.serving(BANK, "--role", "queries") as answering,
    ):
        receipt = deciding.send("Deposit", account="ann", amount=5)
        assert answering.ask("BalanceOf", receipt, account="ann")["amount"] == 5
        assert answering.http.post("commands/Deposit", json={"account": "ann", "amount": 5}).status_code == 421
        assert deciding.http.get("feed").status_code == 200


def test_what_was_acknowledged_is_there_after_the_next_start(twofold: CommandLine) -> None:
    """Ending loses nothing, and neither does being killed."""
    with twofold.serving(BANK) as bank:
        bank.send("Deposit", account="ann", amount=5)
        bank.end(signal.SIGKILL)
    with twofold.serving(BANK) as bank:
        receipt = bank.send("Deposit", account="ann", amount=5)
        assert bank.ask("BalanceOf", receipt, account="ann")["amount"] == 10


def begin(service: Service, request: str, body: str = "") -> socket.socket:
    """Send a request without waiting for its response, and return once the service has it in hand."""
    url = service.http.base_url
    connection = socket.create_connection((url.host, url.port or 0), timeout=60)
    head = f"{request} HTTP/1.1\r\nHost: {url.host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    connection.sendall(f"{head}\r\n\r\n{body}".encode())
    # What comes later is answered later, so with this answer the earlier request has been begun.
    assert service.http.get("/health/live").status_code == 200
    return connection


def test_a_request_that_is_under_way_does_not_keep_a_service_from_ending(twofold: CommandLine) -> None:
    """Somebody who waits half a minute for the feed holds up nobody."""
    with twofold.serving("examples.shop.sales:sales") as sales, begin(sales, "GET /feed?wait=30"):
        code, logged = sales.end()
    assert code == 0
    assert messages(logged)[-1] == "sales ended."


def test_a_database_that_is_held_up_does_not_keep_a_service_from_ending(twofold: CommandLine) -> None:
    """Whoever stops a service has not the time to wait for another process's lock; what was acknowledged is safe."""
    with twofold.serving(BANK) as bank:
        holding = [
            sqlite3.connect(twofold.folder / file, isolation_level=None) for file in ("bank.db", "bank-views.db")
        ]
        for connection in holding:
            connection.execute("BEGIN IMMEDIATE")
        with begin(bank, "POST /commands/Deposit", '{"account": "ann", "amount": 1}'):
            code, logged = bank.end()
        for connection in holding:
            connection.close()
    assert code == 1
    assert str(logged[-1]["message"]).startswith("bank did not end in time, as a database is held up by somebody else")


def test_a_port_that_is_taken_is_told(twofold: CommandLine) -> None:
    """The text says which, and what to do; the service's databases are closed again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = twofold("run", BANK, "--port", str(port), "--log-level", "error")
    assert found.complaint == (
        f"twofold: 127.0.0.1:{port} cannot be listened on: Address already in use. Choose another with --port, or end "
        "what uses it."
    )


def test_an_address_that_is_not_here_is_told(twofold: CommandLine) -> None:
    """A host of another machine cannot be listened on."""
    found = twofold("run", BANK, "--host", "192.0.2.1", "--port", "0", "--log-level", "error")
    assert found.complaint.startswith("twofold: 192.0.2.1:0 cannot be listened on: ")


def test_a_port_out_of_range_is_told(twofold: CommandLine) -> None:
    """Options that cannot be right are refused before anything starts."""
    found = twofold("run", BANK, "--port", "80000")
    assert found.code == 2
    assert "80000 is not in the range 0<=x<=65535" in found.errors


@pytest.mark.parametrize(
    "name", ["TWOFOLD_ALLOWED_HOSTS", "TWOFOLD_ALLOWED_ORIGINS", "TWOFOLD_MAX_BODY_BYTES", "TWOFOLD_LOGS"]
)
def test_a_setting_that_is_wrong_is_told_before_anything_starts(twofold: CommandLine, name: str) -> None:
    """No file is made, and no other process's work is taken over for a moment."""
    twofold.environment[name] = "?"
    found = twofold("run", BANK, "--port", "0")
    assert (found.code, len(found.errors.splitlines())) == (2, 1)
    assert found.complaint.startswith(f"twofold: {name}")


def test_a_database_that_cannot_be_opened_is_told(twofold: CommandLine) -> None:
    """The text names the file."""
    twofold.write("folder", "a file where a folder should be")
    twofold.environment["TWOFOLD_LOG"] = "sqlite:///folder/bank.db"
    found = twofold("run", BANK, "--port", "0")
    assert found.complaint.startswith("twofold: folder/bank.db: ")
    assert found.complaint.endswith("Check that the folder exists and that this user may write to it.")


@pytest.mark.parametrize(
    ("package", "said"),
    [
        ("starlette", "twofold: Serving needs the package starlette. Install it: pip install 'twofold[http]'"),
        ("uvicorn", "twofold: Serving needs the package uvicorn. Install it: pip install 'twofold[http]'"),
    ],
)
def test_a_missing_extra_is_told(twofold: CommandLine, hidden: Callable[[str], None], package: str, said: str) -> None:
    """Whoever has installed the core alone learns what serving needs."""
    hidden(package)
    assert twofold("run", BANK).complaint == said


def test_a_changed_view_without_a_new_version_is_told(twofold: CommandLine) -> None:
    """What only the database can know is told at the start, in one line."""
    with twofold.serving(BANK) as bank:
        bank.end()
    twofold.write(
        "later.py",
        "from typing import Annotated, Self\n"
        "from twofold import Event, Service, Tag, View, evolve\n"
        "class Seen(Event):\n    account: Annotated[str, Tag('account')]\n"
        "class Balance(View, key=Annotated[str, Tag('account')]):\n"
        "    cents: int = 0\n"
        "    @evolve\n    def seen(self, event: Seen) -> Self: return self\n"
        "bank = Service('bank', views=[Balance])\n",
    )
    found = twofold("run", "later:bank", "--port", "0")
    assert found.complaint.startswith("twofold: The view Balance has the columns key")
    assert found.complaint.endswith("declare class Balance(View, key=…, version=2).")


def test_logs_for_people_are_lines_of_text(twofold: CommandLine) -> None:
    """Without an option, a person reads time, level, logger and message."""
    process = twofold.begin("run", BANK, "--port", "0")
    assert process.stderr is not None
    empty, *lines = [process.stderr.readline() for _ in range(3)]
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[0] == ""
    assert process.returncode == 0
    assert " WARNING twofold.service: bank begins with an empty log" in empty
    assert " INFO    twofold.service: bank runs; its log is at position 0" in lines[0]
    assert " INFO    twofold.cli: bank answers at http://127.0.0.1:" in lines[1]


def test_a_log_level_leaves_out_what_is_below_it(twofold: CommandLine) -> None:
    """At the level of errors, a service that is well says nothing, not even that its log is new."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = twofold("run", BANK, "--port", str(taken.getsockname()[1]), "--log-level", "error")
    assert found.errors.startswith("twofold: ")


def test_an_unexpected_failure_is_logged_with_the_correlation_of_its_request(twofold: CommandLine) -> None:
    """A caller's correlation id finds the trace in the log."""
    twofold.write(
        "failing.py",
        "from twofold import Query, Service, Views, answer\n"
        "class Fail(Query[int]): pass\n"
        "@answer\n"
        "async def fail(query: Fail, views: Views) -> int: return 1 // 0\n"
        "failing = Service('failing', queries=[fail])\n",
    )
    with twofold.serving("failing:failing") as failing:
        headers = {"X-Correlation-Id": "request-1"}
        assert failing.http.get("queries/Fail", headers=headers).status_code == 500
        _, logged = failing.end()
    assert logged[0]["level"] == "error"
    assert (logged[0]["service"], logged[0]["correlation"]) == ("failing", "request-1")
    assert "ZeroDivisionError" in str(logged[0]["traceback"])
