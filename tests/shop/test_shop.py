import asyncio
import csv
import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, cast

import httpx
import pytest

from examples.shop import shop
from examples.shop.__main__ import serving, settings
from examples.shop.generate import generate
from examples.shop.ledger import SumOfBalances
from examples.shop.load import SERVICE_OF, load, within
from examples.shop.orders import last_lines, read_orders
from examples.shop.reporting import RevenueByCountry, RevenueByMonth, Totals
from examples.shop.totals import ask
from twofold import Rejected
from twofold.http import asgi
from twofold.log import Criterion

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared/data/online-retail"
CHARGES = {"POST", "DOT", "M", "D", "S", "C2", "BANK CHARGES", "AMAZONFEE", "CRUK", "PADS", "B"}


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the program as users do."""
    command = [sys.executable, "-W", "error", "-m", "examples.shop", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def answers(*arguments: object) -> dict[str, Any]:
    """Return the one JSON object that the program prints."""
    done = run("--json", *arguments)
    assert done.returncode == 0, done.stderr
    return cast("dict[str, Any]", json.loads(done.stdout))


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated week, as small as it may be and still have every kind of document."""
    path = tmp_path_factory.mktemp("orders") / "orders.csv"
    generate(path, documents=400)
    return path


# The totals of a file, computed from the file alone and in the most naive way.


def totals_of(path: Path) -> dict[str, Any]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    units: Counter[str] = Counter()
    for row in rows:
        units[row["StockCode"]] += int(row["Quantity"])
    return {
        "documents": len({row["InvoiceNo"] for row in rows}),
        "lines": len(rows),
        "anon_lines": sum(not row["CustomerID"] for row in rows),
        "customers": len({row["CustomerID"] for row in rows if row["CustomerID"]}),
        "skus": len({row["StockCode"] for row in rows}),
        "net_revenue": money(rows),
        "gross_sales": money(row for row in rows if row["InvoiceNo"][0] not in "CA"),
        "credits": money(row for row in rows if row["InvoiceNo"][0] == "C"),
        "top5_customers": top5((row["CustomerID"].removesuffix(".0"), row) for row in rows if row["CustomerID"]),
        "top5_countries": top5((row["Country"], row) for row in rows),
        "units_of": highest(10, {code: count for code, count in units.items() if code not in CHARGES}),
    }


def money(rows: Iterable[dict[str, str]]) -> float:
    return float(sum((int(row["Quantity"]) * Decimal(row["UnitPrice"]) for row in rows), Decimal(0)))


def top5(keyed: Iterable[tuple[str, dict[str, str]]]) -> dict[str, float]:
    by_key: dict[str, list[dict[str, str]]] = {}
    for key, row in keyed:
        by_key.setdefault(key, []).append(row)
    return highest(5, {key: round(money(rows), 2) for key, rows in by_key.items()})


def highest(count: int, values: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(values.items(), key=lambda each: (-each[1], each[0]))[:count])


# What must hold.


def test_the_services_know_what_is_in_the_file(orders: Path) -> None:
    """Every sum to the mill, every count, and who and what comes first, in order."""
    answered, expected = answers("--orders", orders), totals_of(orders)
    assert answered == expected
    assert [list(answered[top]) for top in TOPS] == [list(expected[top]) for top in TOPS]


TOPS = ("top5_customers", "top5_countries", "units_of")


@pytest.mark.parametrize("name", ["week1", "full"])
def test_the_real_data_are_as_they_are_known_to_be(name: str) -> None:
    """Where they are at hand, the shop says what was computed without it; all of them take half a minute, if asked for."""
    path = REAL / f"{name}.csv.gz"
    if not path.exists():
        pytest.skip(f"{path} of the Online Retail data set is not here.")
    if name == "full" and not os.environ.get("TWOFOLD_TEST_FULL"):
        pytest.skip("TWOFOLD_TEST_FULL=1 runs it.")
    answered = answers("--orders", path)
    known = json.loads((REAL / "expected.json").read_text())[name]
    assert answered == {key: known[key] for key in answered if key in known} | {"units_of": answered["units_of"]}
    assert answered == totals_of(path)


EVERYTHING_TWICE = ["--twice", "--deliver-twice", "--rebuild"]


@pytest.mark.parametrize(
    "how", [["--twice"], ["--deliver-twice"], EVERYTHING_TWICE, ["--processes", "2", *EVERYTHING_TWICE]]
)
def test_repetition_changes_nothing(orders: Path, how: list[str]) -> None:
    """Documents submitted twice, events delivered twice, and views filled twice count once, in several processes too."""
    assert answers("--orders", orders, *how) == totals_of(orders)


def test_a_rebuild_starts_from_the_events_alone(orders: Path, tmp_path: Path) -> None:
    """What was wrong in every table of every view is right afterwards."""
    expected = answers("--orders", orders, "--data", tmp_path)
    for file in tmp_path.glob("*-views.db"):
        ruin(file)
    assert answers("--orders", orders, "--data", tmp_path) != expected
    assert answers("--orders", orders, "--data", tmp_path, "--rebuild") == expected


def ruin(file: Path) -> None:
    """Take every other row of every view away, and change the numbers in the rest."""
    connection = sqlite3.connect(file)
    with connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB '*_v1'"
        ).fetchall()
        for (table,) in tables:
            connection.execute(f"DELETE FROM {table} WHERE rowid % 2 = 0")
            for _, column, kind, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall():
                if kind == "BIGINT":
                    connection.execute(f"UPDATE {table} SET {column} = {column} + 1")
    connection.close()


def test_a_second_delivery_is_told_by_its_id_alone(orders: Path, tmp_path: Path) -> None:
    """Where the ids of what was heard are taken away, all of it counts again: so it does come a second time."""
    once = answers("--orders", orders, "--data", tmp_path)
    connection = sqlite3.connect(tmp_path / "reporting.db")
    with connection:
        connection.execute("DELETE FROM handled")
    connection.close()
    twice = answers("--orders", orders, "--data", tmp_path, "--deliver-twice")
    assert (twice["documents"], twice["lines"]) == (2 * once["documents"], 2 * once["lines"])


def test_kill_minus_nine_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    """Killed five times during the load, wherever it happened to be, and started again, the shop has the same totals."""
    orders = tmp_path / "orders.csv"
    generate(orders, documents=1500)
    for _ in range(5):
        # How far the load is, is told by the service that decides on most of it, or by the one that hears of it last.
        log = tmp_path / f"{Random().choice(['sales', 'reporting'])}.db"
        kill_once(orders, log, head_of(log) + Random().randrange(1, 150))
    expected = totals_of(orders)
    assert answers("--orders", orders, "--data", tmp_path) == expected
    assert answers("--orders", orders, "--data", tmp_path) == expected


def kill_once(orders: Path, log: Path, events: int) -> None:
    """Start the load, and kill it when a service's log has so many events."""
    print(f"killed when {log.name} has {events} events")
    command = [sys.executable, "-m", "examples.shop", "--json", "--orders", str(orders), "--data", str(log.parent)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while head_of(log) < events and process.poll() is None:
            time.sleep(0.001)
        process.kill()
        _, complaints = process.communicate()
    assert process.returncode == -signal.SIGKILL, complaints.decode()


def head_of(log: Path) -> int:
    if not log.exists():
        return 0
    connection = sqlite3.connect(f"file:{log}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()[0])
    except sqlite3.OperationalError:  # It is being made.
        return 0
    finally:
        connection.close()


def test_the_services_agree_on_the_sum(orders: Path, tmp_path: Path) -> None:
    """Balances and what was sold to nobody known, countries, and months: each by its own way to the net revenue."""
    expected = totals_of(orders)

    async def scenario() -> None:
        async with shop.run(settings(tmp_path)) as services:
            receipts = await load(within(services), read_orders(orders, last_lines(orders)), sent=lambda: None)
            async with serving(asgi(services), port=0) as (url, _), httpx.AsyncClient(base_url=url) as http:
                sums = await ask(http, Totals(), receipts)
                balances = await ask(http, SumOfBalances(), receipts)
                countries = await ask(http, RevenueByCountry(limit=1000), receipts)
                months = await ask(http, RevenueByMonth(), receipts)
        assert balances.customers == expected["customers"]
        assert [each.key for each in months] == ["2010-11", "2010-12"]
        assert (
            balances.amount_mills + sums.anon_net_mills
            == sum(each.net_mills for each in countries)
            == sum(each.net_mills for each in months)
            == sums.net_mills
            == round(expected["net_revenue"] * 1000)
        )

    asyncio.run(scenario())


def test_a_number_counts_once_without_an_id_too(orders: Path, tmp_path: Path) -> None:
    """A second document with the number of a first one is refused, whatever it says, and nothing is recorded."""

    async def scenario() -> None:
        async with shop.run(settings(tmp_path)) as services:
            documents = list(read_orders(orders, last_lines(orders)))
            await load(within(services), iter(documents), sent=lambda: None)
            sold = await services["sales"].log.head()
            for document in documents:
                with pytest.raises(Rejected):
                    await services[SERVICE_OF[type(document)]].send(document)
            assert sold == sum(SERVICE_OF[type(document)] == "sales" for document in documents) > 0
            # Ledger and stock may meanwhile have recorded what sales published, and nothing else.
            assert await services["sales"].log.head() == sold
            for name, event in (("stock", "StockWrittenOff"), ("ledger", "BadDebtAdjusted")):
                own = await services[name].log.read((Criterion(types=(event,)),), limit=1000)
                assert len(own) == sum(SERVICE_OF[type(document)] == name for document in documents)

    asyncio.run(scenario())


def test_bad_documents_are_refused_over_http(tmp_path: Path) -> None:
    """A quantity below zero, a charge written off, a line without a price: each gets its status, and nothing is recorded."""
    line = {"stock_code": "85123A", "quantity": 6, "price_mills": 2550}
    invoice = {"number": "536365", "issued_at": "2010-12-01T08:26:00Z", "country": "United Kingdom", "lines": [line]}
    write_off = {"number": "536589", "written_off_at": "2010-12-01T16:50:00Z", "country": "France", "units": 10}
    bad = [
        ("sales/commands/IssueInvoice", {**invoice, "lines": [{**line, "quantity": -6}]}, 422, "lines[0].quantity"),
        ("sales/commands/IssueInvoice", {**invoice, "lines": []}, 422, "lines"),
        (
            "sales/commands/IssueCreditNote",
            {**invoice, "lines": [{"stock_code": "D", "quantity": 1}]},
            422,
            "price_mills",
        ),
        ("stock/commands/WriteOffStock", {**write_off, "stock_code": "POST"}, 409, "charge"),
        ("ledger/commands/AdjustBadDebt", {**invoice}, 422, "issued_at"),
    ]

    async def scenario() -> None:
        async with (
            shop.run(settings(tmp_path)) as services,
            serving(asgi(services), port=0) as (url, _),
            httpx.AsyncClient(base_url=url) as http,
        ):
            for path, body, status, reason in bad:
                response = await http.post(f"/{path}", json=body)
                assert (response.status_code, reason in response.json()["detail"]) == (status, True), response.text
            assert {name: await service.log.head() for name, service in services.items()} == dict.fromkeys(services, 0)
            assert (await http.post("/sales/commands/IssueInvoice", json=invoice)).json() == {"receipt": "sales@1"}

    asyncio.run(scenario())


def test_whoever_brings_a_bad_file_is_told_where_it_is_bad(tmp_path: Path) -> None:
    """The program ends with an error of one line that names the file and the line."""
    path = tmp_path / "bad.csv"
    generate(path, documents=5)
    path.write_text(path.read_text(encoding="utf-8") + "536365,71053\n", encoding="utf-8")
    done = run("--json", "--orders", path)
    assert (done.returncode, done.stdout) == (1, "")
    last = len(path.read_text(encoding="utf-8").splitlines())
    assert done.stderr == f"{path}, line {last}: 2 fields, where the header names 8 columns.\n"


def test_what_was_ordered_stays_ordered(orders: Path, tmp_path: Path) -> None:
    """A second demo with the same data finds all orders at their ends, and the payment API with its account."""
    first, second = [run("--demo", "--orders", orders, "--data", tmp_path) for _ in range(2)]
    assert [first.returncode, second.returncode] == [0, 0], first.stderr + second.stderr
    sums = [line for line in first.stdout.splitlines() if line.startswith("The payment API has taken £")]
    assert sums == [line for line in second.stdout.splitlines() if "The payment API" in line]
    assert len(sums) == 1


def test_the_demo_shows_what_becomes_of_orders_and_answers_its_own_question() -> None:
    """It ends with the tables, a line for curl, and the answer that this line gets, without a terminal too."""
    done = run("--demo")
    assert done.returncode == 0, done.stderr
    assert "doi:10.1057/dbm.2012.17" in done.stderr
    *_, curl, _, answer = done.stdout.splitlines()
    assert curl.startswith("  curl 'http://127.0.0.1:")
    assert [set(each) >= {"key", "net_mills"} for each in json.loads(answer)] == [True] * 3
    assert all(title in done.stdout for title in ("In all", "Top customers", "Top countries", "Units"))
    assert all(each in done.stdout for each in ("Orders on their way", "completed", "cancelled"))
    assert "\nThe payment API has taken £" in done.stdout
