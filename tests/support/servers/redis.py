"""A real Redis for tests, which keeps all that is written in a file, on a free port and in a temporary folder.

``TWOFOLD_TEST_REDIS`` names a running one instead, such as ``redis://127.0.0.1:6379``, which these tests do not stop.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from redis.asyncio import Redis

from tests.support.servers.alone import program
from tests.support.servers.process import ServerProcess, free_ports

_START_SECONDS = 30.0
_numbers = count(1)


class RedisServer:
    """A server, ours with a life that a test may interrupt, or one that is given by URL."""

    def __init__(self, url: str, process: ServerProcess | None = None) -> None:
        self.url = url
        self._process = process

    def start(self) -> None:
        """Start it, or start again what was stopped or killed, on the same port and data."""
        own = self._own
        own.start()
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(urlsplit(self.url).port or 0):
            assert not own.has_ended(), own.log()
            assert time.monotonic() < deadline, f"Redis did not start within {_START_SECONDS} s:\n{own.log()}"
            time.sleep(0.01)

    def signal(self, how: signal.Signals) -> None:
        """Let it stand still, or go on."""
        os.kill(self._own.pid, how)

    def kill(self) -> None:
        """End it as a crash would, by ``kill -9``."""
        self._own.end(signal.SIGKILL)

    @property
    def port(self) -> int:
        """Where it listens."""
        return urlsplit(self.url).port or 0

    @property
    def _own(self) -> ServerProcess:
        assert self._process is not None, "a server given by URL is not ours to stop"
        return self._process

    def places(self) -> RedisPlaces:
        """Return streams that nobody has used."""
        return RedisPlaces(self.url, f"t{os.getpid()}-{next(_numbers)}")


class RedisPlaces(msgspec.Struct, frozen=True):
    """Streams of one test's own."""

    server: str
    name: str

    @property
    def url(self) -> str:
        """The URL of a transport that has them."""
        return f"{self.server}?stream={self.name}:*:events&dead_letters={self.name}:*:dead-letters"

    @property
    def stream(self) -> str:
        """Where the events of sales are."""
        return f"{self.name}:sales:events"

    @property
    def dead_letters(self) -> str:
        """Where what ledger cannot read is kept."""
        return f"{self.name}:ledger:dead-letters"


@contextmanager
def running_redis(*settings: str, login: str = "") -> Iterator[RedisServer]:
    """Start a server, with lines of its configuration and a login in its URL, and take all of it away in the end.

    Raises:
        NoServer: it cannot be had here.
    """
    if (given := os.environ.get("TWOFOLD_TEST_REDIS")) and not settings:
        yield RedisServer(given)
        return
    command = program("redis-server", "valkey-server", cure="apt-get install redis-server")
    folder = Path(tempfile.mkdtemp(prefix="twofold-redis-"))
    (port,) = free_ports(1)
    lines = (f"port {port}", "bind 127.0.0.1", f"dir {folder}", "appendonly yes", 'save ""', *settings)
    (folder / "redis.conf").write_text("\n".join(lines))
    process = ServerProcess([command, str(folder / "redis.conf")], folder / "server.log")
    try:
        server = RedisServer(f"redis://{login}127.0.0.1:{port}", process)
        server.start()
        yield server
    finally:
        process.close()
        shutil.rmtree(folder, ignore_errors=True)


def _answers(port: int) -> bool:
    """Say whether it has read its data; without a password it says no more than that it wants one."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(5) in (b"+PONG", b"-NOAU")
    return False


def client(url: str) -> Any:
    """Return Redis as an operator, or a program without Twofold, reaches it: to be entered and left."""
    return Redis.from_url(url.partition("?")[0], decode_responses=False)
