"""The real command line, as a process in a folder of its own, against real SQLite files."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from click.testing import CliRunner

from twofold import Command
from twofold import Service as Declared
from twofold.service import Settings
from twofold.testing import settled

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60
COMMAND = [sys.executable, "-W", "error", "-c", "from twofold.cli import main; main()"]


class Outcome(msgspec.Struct):
    """What a command printed and ended with."""

    code: int
    output: str
    errors: str

    @property
    def complaint(self) -> str:
        """The one line that says what is wrong."""
        assert self.code == 2, self
        assert self.output == ""
        assert self.errors.count("\n") == 1, self.errors
        return self.errors.strip()

    @property
    def json(self) -> Any:
        """The output, decoded."""
        assert self.code == 0, self
        return msgspec.json.decode(self.output)

    @property
    def lines(self) -> list[str]:
        """The output's lines, of a command that succeeded."""
        assert self.code == 0, self
        return self.output.splitlines()


class Service(msgspec.Struct):
    """A service that was started with ``twofold run``."""

    process: Any
    http: httpx.Client
    started_with: list[dict[str, Any]]

    def send(self, name: str, **fields: object) -> str:
        """Send a command, and return its receipt."""
        response = self.http.post(f"commands/{name}", json=fields)
        assert response.status_code == 200, response.text
        return str(response.json()["receipt"])

    def ask(self, name: str, receipt: str = "", **fields: object) -> Any:
        """Ask a query, after a receipt if one is given."""
        headers = {"Twofold-Receipt": receipt} if receipt else {}
        response = self.http.post(f"queries/{name}", json=fields, headers=headers)
        assert response.status_code == 200, response.text
        return response.json()

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, list[dict[str, Any]]]:
        """End the service, and return its exit code and what it has logged since its start."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_SECONDS)
        return code, [msgspec.json.decode(line) for line in self.process.stderr]


class CommandLine:
    """``twofold`` in a folder; the repository's examples can be imported there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TWOFOLD_")}
        self.environment = inherited | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        self._begun: list[subprocess.Popen[str]] = []

    def __call__(self, *arguments: str, typed: str = "") -> Outcome:
        """Run a command to its end."""
        ended = subprocess.run(
            [*COMMAND, *arguments], cwd=self.folder, env=self.environment, input=typed, capture_output=True, text=True,
            timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip
        assert "Traceback" not in ended.stderr, ended.stderr
        return Outcome(ended.returncode, ended.stdout, ended.stderr)

    def within(self, *arguments: str) -> Outcome:
        """Run a command within this process, where a process of its own adds nothing but time."""
        from twofold.cli.program import twofold

        with chdir(self.folder):
            ended = CliRunner().invoke(twofold, arguments, prog_name="twofold")
        assert ended.exception is None or isinstance(ended.exception, SystemExit), ended
        return Outcome(ended.exit_code, ended.stdout, ended.stderr)

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command."""
        process = subprocess.Popen(
            [*COMMAND, *arguments], cwd=self.folder, env=self.environment, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._begun.append(process)
        return process

    def end(self) -> None:
        """Kill whatever was started and goes on: a test that fails leaves no process behind."""
        for process in self._begun:
            with process:
                process.kill()

    @contextmanager
    def serving(self, target: str, *arguments: str) -> Iterator[Service]:
        """Run a service on a free port for a block."""
        process = self.begin("run", target, "--port", "0", "--log-format", "json", *arguments)
        try:
            assert process.stderr is not None
            logged = []
            for line in process.stderr:
                logged.append(msgspec.json.decode(line))
                if " answers at " in logged[-1]["message"]:
                    break
            else:
                pytest.fail(f"{target} did not start: {logged}")
            url = logged[-1]["message"].split(" answers at ")[1].split(";")[0]
            with httpx.Client(base_url=url, timeout=PATIENCE_SECONDS) as http:
                yield Service(process, http, logged)
        finally:
            process.kill()
            process.communicate()

    def fill(self, service: Declared, *commands: Command) -> None:
        """Have a service decide commands, and end it when nothing is left to do."""
        asyncio.run(self._fill(service, commands))

    async def _fill(self, service: Declared, commands: Iterable[Command]) -> None:
        url = f"sqlite:///{quote(str(self.folder))}/{service.name}"
        async with service.run(Settings(log=f"{url}.db", views=f"{url}-views.db")) as running:
            for command in commands:
                await running.send(command)
            await settled(running, timeout_seconds=PATIENCE_SECONDS)

    def write(self, file: str, text: str) -> None:
        """Put a file into the folder."""
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def twofold(tmp_path: Path) -> Iterator[CommandLine]:
    command_line = CommandLine(tmp_path)
    yield command_line
    command_line.end()


@pytest.fixture
def hidden(twofold: CommandLine) -> Callable[[str], None]:
    """Make a package seem not to be installed, as it is for whoever lacks an extra."""

    def hide(package: str) -> None:
        twofold.write("hiding/sitecustomize.py", f"import sys\nsys.modules[{package!r}] = None\n")
        twofold.environment["PYTHONPATH"] += os.pathsep + str(twofold.folder / "hiding")

    return hide
