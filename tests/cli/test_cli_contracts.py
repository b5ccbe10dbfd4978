"""``twofold contracts``, as a process: for people, for programs, and for whoever merges."""

import msgspec
import pytest

from tests.cli.conftest import CommandLine
from tests.contracts.trading import SOURCE

RENAMED = SOURCE.replace("OutOfStock", "SoldOut")


@pytest.fixture
def before(twofold: CommandLine) -> CommandLine:
    """A folder with the contract of the code of before."""
    twofold.write("trading.py", SOURCE)
    assert twofold("contracts", "trading:stock", "--out", "old.json").lines == []
    return twofold


def test_a_contract_is_written(before: CommandLine) -> None:
    """To a file or the standard output, of a service, of a system, or of one service of it."""
    alone = before("contracts", "trading:stock").json
    assert alone == msgspec.json.decode((before.folder / "old.json").read_bytes())
    assert (alone["asyncapi"], alone["info"]["title"]) == ("3.0.0", "stock")
    before.write(
        "sales_and_stock.py",
        "from trading import sales, stock\nfrom twofold import System\nboth = System(sales, stock)\n",
    )
    assert before.within("contracts", "write", "sales_and_stock:both").json["info"]["title"] == "sales, stock"
    assert before.within("contracts", "sales_and_stock:both", "--service", "stock").json == alone


def test_code_that_breaks_nobody_is_fine(before: CommandLine) -> None:
    """The exit code is 0, and one line says so; programs get an empty list."""
    assert before("contracts", "check", "--against", "old.json", "trading:stock").lines == [
        "trading:stock: nobody who goes by old.json is broken."
    ]
    assert before.within("contracts", "check", "--against", "old.json", "trading:stock", "--json").json == []


def test_what_would_break_somebody_is_told_and_ends_the_merge(before: CommandLine) -> None:
    """The exit code is 1; each break is one line, and programs get its parts."""
    before.write("trading.py", RENAMED)
    found = before("contracts", "check", "--against", "old.json", "trading:stock")
    assert (found.code, found.errors) == (1, "")
    (line,) = found.output.splitlines()
    assert line.startswith("stock decides on Reserve: is not rejected as OutOfStock any more.")
    found = before("contracts", "check", "--against", "old.json", "trading:stock", "--json")
    assert found.code == 1
    (as_json,) = msgspec.json.decode(found.output)
    assert (as_json["kind"], as_json["where"]) == ("sender", "stock decides on Reserve")


def test_what_cannot_be_compared_breaks_nobody(before: CommandLine) -> None:
    """No file, no JSON, no contract, no folder: the exit code is 2, which is not that of a break, and one line says why."""
    before.write("text.json", "{")
    before.write("other.json", '{"asyncapi": "3.0.0"}')
    for file, why in (
        ("missing.json", "missing.json cannot be read: No such file"),
        ("text.json", "text.json is no JSON"),
        ("other.json", "other.json: It is no contract that `twofold contracts` has written"),
    ):
        assert why in before("contracts", "check", "--against", file, "trading:stock").complaint
    assert "cannot be written" in before("contracts", "trading:stock", "--out", "no/such/folder.json").complaint
    assert before("contracts", "check", "trading:stock").code == 2
