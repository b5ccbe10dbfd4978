"""The same command over HTTP: Twofold's own endpoint, and one of Starlette's that only parses it, under one uvicorn."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench import bank
from bench.load import post, put_under_load
from bench.model import Contender, Home, Prepare, Trial
from bench.processes import free_port, server
from bench.servers import PATH
from twofold.messages import encode

_CONNECTIONS = 64


def contenders(home: Home) -> tuple[Contender, ...]:
    """Return both servers."""
    bare = Contender(
        "bare Starlette",
        "nothing is kept",
        "Parses the command's body with msgspec and answers {}; under the same uvicorn as the other.",
        {"http": _served("bare")},
    )
    twofold = Contender(
        "Twofold over HTTP",
        home.durability,
        "Answers with a receipt once the command's events are on disk.",
        {"http": _served("twofold")},
    )
    return (twofold, bare)


def _served(name: str) -> Prepare:
    @contextmanager
    def prepare(home: Home, most: int) -> Iterator[Trial]:
        port = free_port()
        requests = [post(PATH, encode(bank.deposit(number, number))) for number in range(_CONNECTIONS)]
        with home.place() as place:
            command = [sys.executable, "-m", "bench.servers", name, str(port), place.log, place.views]
            with server(command, port):
                yield lambda turns: asyncio.run(put_under_load(port, requests, turns))

    return prepare
