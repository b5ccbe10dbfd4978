"""What the log has of commands on their way, timers and processes is checked, shown, copied and exported like all else."""

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.cli.seeing_service import Place, sales

SALES = "tests.cli.seeing_service:sales"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Databases to be copied, of an order that is on its way and one that has ended."""
    made = CommandLine(tmp_path_factory.mktemp("records"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.folder)
        made.fill(sales, Place(order="1"), Place(order="2", units=11))
    return made.folder


@pytest.fixture
def filled(twofold: CommandLine, made: Path) -> CommandLine:
    shutil.copytree(made, twofold.folder, dirs_exist_ok=True)
    return twofold


def types(twofold: CommandLine, target: str) -> list[str]:
    return [line.split()[3] for line in twofold.within("log", "show", target, "--limit", "0").lines]


def test_records_are_read_by_the_code_and_shown(filled: CommandLine) -> None:
    """Also by code that has no processes any more: it knows what these are, and `check` misses nothing."""
    assert {each for each in types(filled, SALES) if each.startswith("twofold.")} == {
        "twofold.CommandSent", "twofold.CommandSettled", "twofold.TimerSet", "twofold.TimerCancelled", "twofold.ProcessEnded",
    }  # fmt: skip
    assert "this code reads all of its" in filled.within("check", SALES).lines[0]
    filled.write("later.py", "from tests.cli.seeing_service import Order\nfrom twofold import Service\n"
                 "sales = Service('sales', aggregates=[Order])\n")  # fmt: skip
    assert "this code reads all of its" in filled("check", "later:sales").lines[0]


def test_records_go_with_a_log(filled: CommandLine) -> None:
    """A copy has them, and so has what is imported from an export, at their positions."""
    assert filled.within("log", "copy", SALES, "sqlite:///copied.db").code == 0
    assert filled.within("log", "export", SALES, "sales.jsonl").code == 0
    assert filled.within("log", "import", "sales.jsonl", "sqlite:///imported.db").code == 0
    expected = filled.within("log", "show", SALES, "--limit", "0", "--json").output
    for target in ("sqlite:///copied.db", "sqlite:///imported.db"):
        assert filled.within("log", "show", target, "--limit", "0", "--json").output == expected


def test_a_service_goes_on_with_an_imported_log(filled: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that its processes remember is made again of the log, and nothing of it is sent or set twice."""
    before = types(filled, SALES)
    listed = filled.within("processes", "list", SALES, "--json").json
    assert filled.within("log", "export", SALES, "sales.jsonl").code == 0
    for file in filled.folder.glob("sales*.db*"):
        file.unlink()
    assert filled.within("log", "import", "sales.jsonl", "sqlite:///sales.db").code == 0
    monkeypatch.chdir(filled.folder)
    filled.fill(sales)
    assert types(filled, SALES) == before
    assert filled.within("processes", "list", SALES, "--json").json == listed
