"""Serving over real sockets: in a thread of the test, or in a process of its own."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from twofold.http import serve

ROOT = Path(__file__).parents[2]


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve a service, a system or an ASGI application in a thread for a block, and give its URL."""
    started: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Task[None]]] = Future()

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        await serve(app, port=0, ready=lambda url: started.set_result((url, asyncio.get_running_loop(), task)))

    def run() -> None:
        try:
            asyncio.run(main())
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            started.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        url, loop, task = started.result()
        try:
            yield url
        finally:
            loop.call_soon_threadsafe(task.cancel)
    finally:
        thread.join()


class ServingProcess:
    """A process that serves ``module:name`` and can be killed and started again at the same port."""

    def __init__(self, target: str, environment: Mapping[str, str]) -> None:
        self._target = target
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self) -> None:
        port = self.url.rpartition(":")[2] or "0"
        command = [sys.executable, "-W", "error", "-m", "tests.support.serving_process", self._target, port]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            raise AssertionError(self._process.communicate()[1])

    def tell(self, how: signal.Signals) -> None:
        """Send a signal, and wait for nothing."""
        assert self._process is not None
        self._process.send_signal(how)

    def end(self, how: signal.Signals) -> tuple[int, str, str]:
        """Send a signal; return the exit code and what was printed since."""
        self.tell(how)
        assert self._process is not None
        said, complained = self._process.communicate(timeout=30)
        code, self._process = self._process.returncode, None
        return code, said, complained

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.end(signal.SIGKILL)
