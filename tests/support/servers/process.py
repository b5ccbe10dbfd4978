"""The process of a real server that tests start: it ends when they do, whatever ends them."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_PR_SET_PDEATHSIG = 1


class ServerProcess:
    """A server's first process, which writes what it has to say into a file."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._command = [*command]
        self._log = log
        self._environment = environment
        # "When we end" means for Linux "when the thread ends that started it": so one thread does, and stays.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="server")
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; whether it answers is for the caller to find out."""
        self._running = self._starter.submit(self._start).result()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self._log.parent,
                env=self._environment, preexec_fn=_ends_with(os.getpid()),  # noqa: PLW1509
            )  # fmt: skip

    def end(self, how: signal.Signals) -> None:
        """Send a signal and wait for the end."""
        if self._running is not None:
            self.tell(how)
            self._running.wait()
            self._running = None

    def tell(self, how: signal.Signals) -> None:
        """Send a signal, and wait for nothing."""
        if self._running is not None:
            self._running.send_signal(how)

    def close(self) -> None:
        """End it for good."""
        self.end(signal.SIGKILL)
        self._starter.shutdown()

    @property
    def pid(self) -> int:
        """Its number, while it runs."""
        assert self._running is not None
        return self._running.pid

    def has_ended(self) -> bool:
        return self._running is None or self._running.poll() is not None

    def log(self) -> str:
        """Return the end of what the server has written."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-4000:]


def _ends_with(parent: int) -> Callable[[], None] | None:
    """Return what a child does first so that it ends when we do, even by ``kill -9`` (Linux can, others can't)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask_for_a_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return ask_for_a_signal


def free_ports(count: int) -> list[int]:
    """Return so many ports of the loopback on which nobody listens."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
