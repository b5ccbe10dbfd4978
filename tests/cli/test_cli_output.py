"""Whatever the standard streams are, a command ends with one line at most and an exit code that says what happened."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from examples.bank import Deposit, bank
from tests.cli.conftest import COMMAND, CommandLine
from tests.cli.shaky_service import UNLUCKY, Throw, shaky

BANK = "examples.bank:bank"
SHAKY = "tests.cli.shaky_service:shaky"
COMMANDS = [
    ["--help"],
    ["--version"],
    ["graph", BANK],
    ["log", BANK],
    ["log", BANK, "--json"],
    ["log", "export", BANK],
    ["log", "copy", BANK, "sqlite:///copy.db"],
    ["views", BANK],
    ["segments", "merge", BANK, "balance_v1"],
    ["parked", "list", BANK],
    ["check", BANK],
]

STUCK = [
    ["parked", "list", SHAKY],
    ["parked", "show", SHAKY, "score_v1", "player:ann"],
    ["parked", "retry", SHAKY, "score_v1", "player:ann"],
    ["parked", "discard", SHAKY, "score_v1", "player:ann", "--yes"],
    ["segments", "split", SHAKY, "score_v1"],
    ["log", "import", "exported.jsonl", "sqlite:///imported.db"],
    ["new", "my_shop"],
]

# Text, a table and what runs through the whole log; each of the others prints in one of these ways.
FEW = [["log", BANK], ["views", BANK], ["check", BANK]]


@pytest.fixture
def filled(twofold: CommandLine) -> CommandLine:
    """A folder with a bank's log and views in it, and a name that ASCII does not have."""
    twofold.fill(bank, *[Deposit(account=f"Zoë {number}", amount=1) for number in range(100)])
    return twofold


@pytest.fixture(scope="module")
def parked_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to be copied: trying what fails takes its time."""
    made = CommandLine(tmp_path_factory.mktemp("parked"))
    made.fill(shaky, Throw(player="ann", points=1), Throw(player="ann", points=UNLUCKY))
    assert made("log", "export", SHAKY, "exported.jsonl").code == 0
    return made.folder


@pytest.fixture
def stuck(twofold: CommandLine, parked_folder: Path) -> CommandLine:
    """A folder with a service of which a key is parked, and its exported log."""
    shutil.copytree(parked_folder, twofold.folder, dirs_exist_ok=True)
    return twofold


def shell(command_line: CommandLine, script: str, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run a command as "$@" in a script of bash, and return how that ended and what it printed."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script, "bash", *COMMAND, *arguments], cwd=command_line.folder,
        env={**command_line.environment, **environment}, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    errors = done.stderr.decode("utf-8", "replace")
    assert "Traceback" not in errors, errors
    assert "Exception ignored" not in errors, errors
    return done.returncode, done.stdout.decode("utf-8", "replace"), errors


needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="This system has no /dev/full.")


@needs_full
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_output_that_is_full_is_told_in_a_line(filled: CommandLine, arguments: list[str]) -> None:
    """A script that goes on as if it had the answer would go on with half of it."""
    code, _, errors = shell(filled, '"$@" > /dev/full', *arguments)
    assert (code, errors) == (1, "twofold: The output cannot be written: No space left on device.\n")


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_output_that_is_closed_is_told_in_a_line(filled: CommandLine, arguments: list[str]) -> None:
    """And no database is opened in its place, into which the output would be written."""
    code, _, errors = shell(filled, '"$@" >&-', *arguments)
    assert (code, errors) == (1, "twofold: The output cannot be written: Bad file descriptor.\n")


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_whoever_has_read_enough_is_told_nothing(filled: CommandLine, arguments: list[str]) -> None:
    """As with any other program, a shell sees that it was cut off, or that it was done before."""
    # The reader is gone before anything is written.
    code, _, errors = shell(filled, 'exec 3> >(exec true); wait $!; "$@" >&3', *arguments)
    assert (code, errors) == (141, "")


@needs_full
@pytest.mark.parametrize("arguments", STUCK, ids=" ".join)
@pytest.mark.parametrize(
    ("script", "reason"), [('"$@" >&-', "Bad file descriptor"), ('"$@" > /dev/full', "No space left on device")]
)
def test_whoever_changes_something_tells_that_nobody_can_read_it(
    stuck: CommandLine, arguments: list[str], script: str, reason: str
) -> None:
    """Nobody takes for success what could not be said."""
    code, _, errors = shell(stuck, script, *arguments)
    assert (code, errors) == (1, f"twofold: The output cannot be written: {reason}.\n")


@pytest.mark.parametrize("arguments", FEW, ids=" ".join)
@pytest.mark.parametrize("script", ['"$@" 2>&-', '"$@" 2>/dev/full', '"$@" <&-', '"$@" <&- 2>&-', 'env -u HOME "$@"'])
def test_other_streams_do_not_matter(filled: CommandLine, script: str, arguments: list[str]) -> None:
    """Who closes the error or the input has the same output."""
    if "full" in script and not Path("/dev/full").exists():
        pytest.skip("This system has no /dev/full.")
    code, output, _ = shell(filled, script, *arguments)
    assert code == 0
    assert output


@pytest.mark.parametrize("arguments", FEW, ids=" ".join)
@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"COLUMNS": "20"},
        {"COLUMNS": "1"},
        {"TERM": "dumb"},
    ],
    ids=str,
)
def test_a_terminal_may_be_small_and_know_ascii_only(
    filled: CommandLine, environment: dict[str, str], arguments: list[str]
) -> None:
    """What it cannot show is written as an escape."""
    code, output, _ = shell(filled, '"$@"', *arguments, **environment)
    assert code == 0
    assert output


def test_a_complaint_has_its_code_where_nobody_hears_it(filled: CommandLine) -> None:
    """The code of what went wrong is not that of the stream."""
    for script in ('"$@" 2>&-', '"$@" > /dev/null 2>&1', '"$@" >&- 2>&-'):
        assert shell(filled, script, "graph", "nowhere:bank")[0] == 2


@needs_full
def test_a_log_that_cannot_be_written_stops_no_service(filled: CommandLine) -> None:
    """It serves, and says nothing."""
    script = '"$@" 2>/dev/full & process=$!; sleep 0.1; kill -TERM $process; wait $process; [ $? -le 143 ]'
    assert shell(filled, script, "run", BANK, "--port", "0")[0] == 0


def test_an_export_that_fails_leaves_no_file(filled: CommandLine) -> None:
    """Neither under its name nor under another; a file that was there stays."""
    (filled.folder / "there.jsonl").write_text("before")
    filled.fill(bank, *[Deposit(account="ann", amount=1) for _ in range(200)])
    # Enough for what SQLite shares with other processes, and not for the export.
    script = 'ulimit -f 40; trap "" XFSZ; "$@"'
    code, _, errors = shell(filled, script, "log", "export", BANK, "there.jsonl")
    assert code == 2
    assert errors.startswith("twofold: there.jsonl: File too large.")
    assert errors.count("\n") == 1
    assert (filled.folder / "there.jsonl").read_text() == "before"
    assert not list(filled.folder.glob("*.part"))


def test_a_file_may_have_a_name_that_is_no_utf_8(filled: CommandLine) -> None:
    """Where the system allows for it."""
    name = os.fsencode(filled.folder) + b"/b\xff.jsonl"
    try:
        Path(os.fsdecode(name)).touch()
    except OSError:
        pytest.skip("This file system has names in UTF-8 only.")
    code, _, errors = shell(filled, 'x=$(printf "b\\xff.jsonl"); "$@" "$x"', "log", "export", BANK)
    assert code == 0, errors
    code, _, errors = shell(filled, 'x=$(printf "nowhere\\xff/b.jsonl"); "$@" "$x"', "log", "export", BANK)
    assert (code, errors.count("\n")) == (2, 1), errors


@needs_full
def test_an_example_tells_it_too(filled: CommandLine) -> None:
    """In its own name."""
    done = subprocess.run(
        ["bash", "-c", '"$@" > /dev/full', "bash", sys.executable, "-m", "examples.shop", "--help"], cwd=filled.folder,
        env=filled.environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "shop: The output cannot be written: No space left on device.\n")
