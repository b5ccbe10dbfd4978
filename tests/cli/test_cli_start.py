import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version

import pytest

from tests.cli.conftest import CommandLine

HEAVY = [
    "rich.console",
    "rich.table",
    "sqlalchemy",
    "sqlite3",
    "starlette",
    "uvicorn",
    "httpx",
    "asyncpg",
    "importlib.metadata",
]


def test_help_names_every_command(twofold: CommandLine) -> None:
    """One screen says what there is."""
    found = twofold("--help")
    commands = found.output.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in commands if not line.startswith("   ")] == [
        "bridge",
        "check",
        "contracts",
        "graph",
        "log",
        "new",
        "parked",
        "processes",
        "publish-again",
        "run",
        "segments",
        "simulate",
        "timers",
        "views",
        "waiting",
    ]
    assert twofold("-h").output == found.output


@pytest.mark.parametrize(
    "command",
    [["run"], ["graph"], ["log"], ["views"], ["views", "list"], ["views", "rebuild"], ["parked"], ["parked", "list"],
     ["parked", "show"], ["parked", "retry"], ["parked", "discard"], ["new"], ["check"], ["simulate"], ["contracts"],
     ["contracts", "write"], ["contracts", "check"]],
    ids=" ".join,
)  # fmt: skip
def test_every_command_explains_itself(twofold: CommandLine, command: list[str]) -> None:
    """Help is there on each level, and each option has its own."""
    assert twofold.within(*command, "--help").output.startswith(f"Usage: twofold {' '.join(command)}")


def test_help_imports_nothing_heavy(twofold: CommandLine) -> None:
    """It is there at once: whatever is heavy is imported by the command that needs it."""
    script = (
        "import sys\nfrom twofold.cli import main\nsys.argv = ['twofold', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert found.stdout.splitlines()[-1] == "[]"


def test_the_version_is_that_of_the_package(twofold: CommandLine) -> None:
    """What is installed is what is said."""
    assert twofold("--version").lines == [f"twofold {version('twofold')}"]


def test_no_command_gets_help(twofold: CommandLine) -> None:
    """Who types the name alone sees what can follow."""
    found = twofold()
    assert found.code == 2
    assert "Commands:" in found.errors + found.output


def test_an_unknown_command_is_told(twofold: CommandLine) -> None:
    """With how to get help."""
    found = twofold("stop")
    assert found.code == 2
    assert found.errors.endswith("Error: No such command 'stop'.\n")


@pytest.mark.parametrize("package", ["click", "rich"])
def test_a_missing_extra_is_told(twofold: CommandLine, hidden: Callable[[str], None], package: str) -> None:
    """Who has installed the core alone learns what the command line needs."""
    hidden(package)
    assert twofold("--help").complaint == (
        f"twofold: the command line needs the package {package}. Install it: pip install 'twofold[cli]'"
    )


def test_a_missing_driver_is_told(twofold: CommandLine, hidden: Callable[[str], None]) -> None:
    """A URL of a database whose driver is not installed names the extra that has it."""
    hidden("asyncpg")
    assert twofold("log", "postgresql://localhost/bank").complaint == (
        "twofold: postgresql: needs the package asyncpg. Install it: pip install 'twofold[postgresql]'."
    )
