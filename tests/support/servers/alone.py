"""A server that each test process has for itself, as it takes no time to start."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

from tests.support.servers.sharing import NoServer, give_up

T = TypeVar("T")


@contextmanager
def own(server: AbstractContextManager[T]) -> Iterator[T]:
    """Give a server; a test that lacks it is skipped, and fails where ``CI`` is set."""
    try:
        with server as running:
            yield running
    except NoServer as reason:
        give_up(reason)


def program(*names: str, cure: str) -> str:
    """Return where one of some programs is that do the same, of this environment or of the system.

    Raises:
        NoServer: they are nowhere.
    """
    folders = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    if found := next(filter(None, [shutil.which(name, path=folders) for name in names]), None):
        return found
    raise NoServer(f"These tests need {' or '.join(names)}: {cure}")
