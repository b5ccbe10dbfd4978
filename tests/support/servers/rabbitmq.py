"""A real RabbitMQ for tests: one node on free ports and in a temporary folder, by root or by anybody else.

It needs Debian's package ``rabbitmq-server``, whose program in /usr/sbin is not used, as that changes user and folder.
``TWOFOLD_TEST_RABBITMQ`` names a running one instead, such as ``amqp://guest:guest@127.0.0.1``.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.servers.process import ServerProcess, free_ports
from tests.support.servers.sharing import NoServer, keep

USER, PASSWORD, WRONG_PASSWORD = "guest", "guest", "swordfish"

_PROGRAMS = Path("/usr/lib/rabbitmq/bin")
_START_SECONDS = 60.0
_HEADER = b"AMQP\x00\x00\x09\x01"
_CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{port}
raft.wal_max_size_bytes = 16777216
log.console = true
log.file = false
"""


class RabbitMQServer:
    """A node with a life that a test may interrupt, with its own port mapper: what Erlang starts by itself would stay."""

    def __init__(self, folder: Path) -> None:
        self._port, mapper, distribution = free_ports(3)
        self.url = f"amqp://{USER}:{PASSWORD}@127.0.0.1:{self._port}"
        self.wrong_url = f"amqp://{USER}:{WRONG_PASSWORD}@127.0.0.1:{self._port}"
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(mapper),
            "RABBITMQ_NODENAME": f"twofold{self._port}@localhost",
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-start_epmd false",
            # Has the script become the node. Else it would start one as a child, which outlives it.
            "RUNNING_UNDER_SYSTEMD": "true",
        }
        (folder / "rabbitmq.conf").write_text(_CONFIGURATION.format(port=self._port))
        (folder / "plugins").write_text("[].")
        self._mapper = ServerProcess(["epmd"], folder / "epmd.log", self._environment)
        self._node = ServerProcess([_program("rabbitmq-server")], folder / "server.log", self._environment)

    def start(self) -> None:
        """Start it, or start again what was stopped or killed, on the same ports and data."""
        if self._mapper.has_ended():
            self._mapper.start()
        self._node.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert not self._node.has_ended(), self._node.log()
            assert time.monotonic() < deadline, f"RabbitMQ did not start in {_START_SECONDS} s:\n{self._node.log()}"
            time.sleep(0.05)

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=5) as connection:
            connection.sendall(_HEADER)
            return bool(connection.recv(1))
        return False

    def stop(self) -> None:
        """Stop it at once, as a power cut would.

        Which queues there are is written down up to half a second late, so they are not taken for granted before.
        """
        self.control("eval", "[dets:sync(Table) || Table <- dets:all()].")
        self._node.end(signal.SIGKILL)

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._node.pid

    def control(self, *arguments: str) -> str:
        """Do what an operator does with ``rabbitmqctl``, and return what it says."""
        command = [_program("rabbitmqctl"), "--quiet", *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def close(self) -> None:
        """Stop it for good."""
        self._node.close()
        self._mapper.close()


@contextmanager
def running_rabbitmq() -> Iterator[RabbitMQServer]:
    """Start a node, and take all of it away in the end.

    Raises:
        NoServer: it cannot be had here.
    """
    folder = Path(tempfile.mkdtemp(prefix="twofold-rabbitmq-"))
    try:
        server = RabbitMQServer(folder)
        try:
            server.start()
            yield server
        finally:
            server.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> str:
    path = _PROGRAMS / name
    if not path.exists():
        raise NoServer("These tests need RabbitMQ: apt-get install rabbitmq-server")
    return str(path)


@contextmanager
def _url() -> Iterator[str]:
    with running_rabbitmq() as server:
        yield server.url


if __name__ == "__main__":
    keep(_url(), Path(sys.argv[1]), "rabbitmq")
