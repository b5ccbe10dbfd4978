"""Owners of claims: processes, by names that say where each of them runs."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

_PROCESSES = Path("/proc/self/ns/pid")
_OF_THE_MACHINE_ITSELF = 0xEFFFFFFC


def here() -> str:
    """Return the name of the place in which this process's number means something: the host, or a container on it.

    Two containers may have one host name and one number, and are told apart by their namespaces (Linux).
    """
    return _place(os.getpid())


@lru_cache(maxsize=1)
def _place(_process: int) -> str:
    """Return the name of the place of a process: found once in each, as one that is forked may be in another one."""
    with suppress(OSError):
        space = _PROCESSES.stat().st_ino
        if space != _OF_THE_MACHINE_ITSELF:
            return f"{socket.gethostname()}~{space:x}"
    return socket.gethostname()


def has_ended(owner: str) -> bool:
    """Say whether an owner was a process of this machine that is gone: its leases need not be waited for.

    >>> has_ended(f"bank/1/{os.getpid()}@{here()}"), has_ended(f"bank/1/{os.getpid()}@elsewhere")
    (False, False)
    """
    pid, _, host = owner.rpartition("/")[2].partition("@")
    if host != here() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except OSError as error:
        # Who is not allowed to ask is told of a process that is there.
        return isinstance(error, ProcessLookupError)
    return False
