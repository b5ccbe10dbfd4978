"""``twofold run --workers`` as a process: where it answers, and which processes its workers are."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from random import Random
from typing import Any, Self

ROOT = Path(__file__).parents[2]
_PATIENCE_SECONDS = 60


class Workers:
    """Runs ``module:name`` in so many processes for a block."""

    def __init__(self, target: str, count: int, environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-W", "error", "-m", "twofold.cli", "run", target, "--port", "0"]
        command += ["--workers", str(count), "--log-format", "json"]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TWOFOLD_")}
        self._parent = subprocess.Popen(
            command, cwd=ROOT, env=inherited | dict(environment), stderr=subprocess.PIPE, text=True
        )
        self._url: Future[str] = Future()
        self._reading = threading.Thread(target=self._read)
        self.serving: dict[int, int] = {}
        self.logged: list[dict[str, Any]] = []

    def _read(self) -> None:
        assert self._parent.stderr is not None
        for line in self._parent.stderr:
            entry = json.loads(line) if line.startswith("{") else {"level": "error", "message": line}
            self.logged.append(entry)
            self._take_note(entry["message"], entry["message"].strip(".").split())
        if not self._url.done():
            self._url.set_exception(AssertionError(self.logged))

    def _take_note(self, message: str, words: list[str]) -> None:
        if " answers at " in message and not self._url.done():
            host = message.split(" answers at http://")[1].partition(";")[0].partition("/")[0]
            self._url.set_result(f"http://{host}")
        elif words[:1] == ["Worker"] and "serves," in words:
            self.serving[int(words[1])] = int(words[-1])
        elif words[:1] == ["Worker"] and "ended" in words:
            self.serving.pop(int(words[1]), None)

    @property
    def url(self) -> str:
        """Where they answer, once they do."""
        return self._url.result(_PATIENCE_SECONDS)

    def kill_one(self, dice: Random) -> int:
        """Kill a worker that serves, and return its number; its parent starts another one."""
        number, process = dice.choice(sorted(self.serving.items()))
        del self.serving[number]
        os.kill(process, signal.SIGKILL)
        return number

    def __enter__(self) -> Self:
        self._reading.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._parent.terminate()
        try:
            self._parent.wait(_PATIENCE_SECONDS)
        finally:
            self._parent.kill()
            self._reading.join()
            assert self._parent.stderr is not None
            self._parent.stderr.close()
