"""One server for all test processes of a run: the first that needs it has it started, and it ends with the last.

A **keeper**, a process of its own, has the server. Whoever uses it holds a lock that the system takes away when the process
ends, however that is; the keeper ends when nobody holds it any more.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, NoReturn

import pytest

_LOOK_SECONDS = 0.25


class NoServer(Exception):
    """A server cannot be had here; the text says what to install."""


def give_up(reason: NoServer) -> NoReturn:
    """Skip what needs a server that cannot be had; where ``CI`` is set that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(str(reason))
    pytest.skip(str(reason))


def folder_of_run(factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all test processes of this run have in common."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@contextmanager
def shared(module: str, folder: Path) -> Iterator[str]:
    """Give the URL of the server that ``python -m module folder`` keeps, by `keep`; a test that lacks it is skipped.

    Where ``CI`` is set that is a failure, as nobody would notice that nothing was tested.
    """
    keeper: subprocess.Popen[bytes] | None = None
    name = module.rpartition(".")[2]
    try:
        with (folder / f"{name}.users").open("w") as users:
            with (folder / f"{name}.starting").open("w") as starting:
                fcntl.flock(starting, fcntl.LOCK_EX)
                fcntl.flock(users, fcntl.LOCK_SH)
                if not _said(folder, name):
                    keeper = _started(module, folder, name)
            yield _url(folder, name)
    finally:
        if keeper:
            keeper.wait()


def _started(module: str, folder: Path, name: str) -> subprocess.Popen[bytes]:
    """Start the keeper, and wait until it has said what there is."""
    with (folder / f"{name}.log").open("ab") as log:
        keeper = subprocess.Popen([sys.executable, "-m", module, str(folder)], stdout=log, stderr=log)
    while not _said(folder, name):
        assert keeper.poll() is None or _said(folder, name), (folder / f"{name}.log").read_text()
        time.sleep(_LOOK_SECONDS)
    return keeper


def _said(folder: Path, name: str) -> bool:
    return (folder / f"{name}.url").exists() or (folder / f"{name}.failure").exists()


def _url(folder: Path, name: str) -> str:
    failure = folder / f"{name}.failure"
    if failure.exists():
        give_up(NoServer(failure.read_text()))
    return (folder / f"{name}.url").read_text()


def keep(server: AbstractContextManager[str], folder: Path, name: str) -> None:
    """Have a server until nobody uses it any more; its URL, or why there is none, is written into the folder."""
    try:
        with server as url, (folder / f"{name}.users").open("w") as users:
            _write(folder / f"{name}.url", url)
            _wait_until_unused(users)
            (folder / f"{name}.url").unlink()
    except NoServer as reason:
        _write(folder / f"{name}.failure", str(reason))


def _write(path: Path, text: str) -> None:
    """Write a file that is whole as soon as it is there."""
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.rename(path)


def _wait_until_unused(users: IO[str]) -> None:
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_LOOK_SECONDS)
