"""Services in processes of their own with a broker between them: what each broker's tests run, by a URL."""

import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx

from examples.shop.generate import generate
from tests.shop.test_shop import totals_of
from tests.support.serving import ServingProcess
from tests.support.shop_over_a_broker import check_shop
from tests.support.two_processes import demand, environment, heard, sell


class OverABroker:
    """Subclass it where a fixture ``url`` leads to a broker in which nothing has been published."""

    def test_each_event_takes_effect_once_through_kill_minus_nine(self, url: str, tmp_path: Path) -> None:
        """Who sells and who hears of it are killed by turns: nothing is lost, doubled or out of order."""
        sold = 0
        with _both("tests.messaging.service_pair:till", "tests.messaging.service_pair:buying", url, tmp_path) as pair:
            till, buying = pair
            for turn in range(4):
                sold += (times := Random(turn).randrange(20, 80))
                receipt = sell(till.url, times)
                _kill(pair[turn % 2])
                assert demand(buying.url, receipt) == sold
            assert httpx.get(f"{buying.url}/health/ready").status_code == 200
        assert heard(tmp_path / "buying.db") == list(range(1, sold + 1))

    def test_each_command_is_decided_once_and_its_outcome_comes_back(self, url: str, tmp_path: Path) -> None:
        """Who sends and who decides are killed by turns while commands and their outcomes are on their way."""
        orders = [f"o-{number}" for number in range(80)]
        with _both("tests.processes.ordering:sales", "tests.processes.reserving:stock", url, tmp_path) as pair:
            sales, stock = pair
            httpx.post(f"{stock.url}/commands/Add", json={"item": "tea", "units": 1000}).raise_for_status()
            for turn in range(4):
                sent = orders[turn * 20 : turn * 20 + 20]
                assert {_reserve(sales.url, order) for order in sent} == {202}
                _kill(pair[turn % 2])
                assert {_reserve(sales.url, order, wait="60") for order in sent} == {200}
        reserved = _rows(
            tmp_path / "stock.db", "SELECT json_extract(data, '$.order') FROM events WHERE type = 'Reserved'"
        )
        assert Counter(reserved) == Counter(orders)
        outcomes = _rows(tmp_path / "sales.db", "SELECT data FROM events WHERE type = 'stock.twofold.CommandSettled'")
        assert len(outcomes) == len(orders)

    def test_the_shop_knows_what_is_in_the_file_and_brings_each_order_to_one_end(
        self, url: str, tmp_path: Path
    ) -> None:
        """Six services are killed by turns, an API fails, and in the end everything that was published comes once more."""
        orders = tmp_path / "orders.csv"
        generate(orders, documents=200)
        assert check_shop(url, orders, tmp_path, wanted=36, kills=4) == totals_of(orders)


@contextmanager
def _both(one: str, other: str, url: str, folder: Path) -> Iterator[tuple[ServingProcess, ServingProcess]]:
    settings = environment(folder, TWOFOLD_TRANSPORT=url)
    with ServingProcess(one, settings) as first, ServingProcess(other, settings) as second:
        yield first, second


def _kill(process: ServingProcess) -> None:
    """Kill a process and start it again."""
    code, _, _ = process.end(signal.SIGKILL)
    assert code == -signal.SIGKILL
    process.start()


def _reserve(url: str, order: str, wait: str = "") -> int:
    """Have the sales reserve of the stock next door; return the status, at once or when the stock has decided."""
    headers = {"Idempotency-Key": order} | ({"Prefer": f"wait={wait}"} if wait else {})
    body = {"item": "tea", "order": order, "units": 1}
    return httpx.post(f"{url}/commands/stock.Reserve", json=body, headers=headers, timeout=90).status_code


def _rows(log: Path, query: str) -> list[str]:
    connection = sqlite3.connect(log)
    found = [value for (value,) in connection.execute(query)]
    connection.close()
    return found
