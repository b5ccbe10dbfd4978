"""A change told to many who watch, over HTTP: by Twofold's live query, and by Starlette's streams of a sum."""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench import bank
from bench.load import post
from bench.model import Contender, Home, Prepare, Sample, Trial, Turns
from bench.processes import free_port, server
from bench.servers import LIVE_PATH, PATH
from twofold.messages import encode

WATCHING = 1_000

_OPEN_FILES = 3_000


def contenders(home: Home) -> tuple[Contender, ...]:
    """Return both servers."""
    bare = Contender(
        "Starlette's streams",
        "nothing is kept",
        "Adds up a sum in memory and puts it into a queue for each stream; under the same uvicorn as the other.",
        {"live": _served("bare-live")},
    )
    twofold = Contender(
        "Twofold's live query",
        home.durability,
        "Each change is a command on disk, folded into a view's row, which is read again for all who watch it.",
        {"live": _served("twofold-live")},
    )
    return (twofold, bare)


def _served(name: str) -> Prepare:
    @contextmanager
    def prepare(home: Home, most: int) -> Iterator[Trial]:
        port = free_port()
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(_OPEN_FILES, hard), hard))
        with home.place() as place:
            command = [sys.executable, "-m", "bench.servers", name, str(port), place.log, place.views]
            with server(command, port):
                yield lambda turns: asyncio.run(_told(port, turns))

    return prepare


class _Audience:
    """All who watch, and how much they have been told together."""

    def __init__(self) -> None:
        self._told = 0
        self._expected = 0
        self._complete = asyncio.Event()

    def heard(self, events: int) -> None:
        self._told += events
        if self._told >= self._expected:
            self._complete.set()

    async def all_told(self) -> None:
        """Wait until each has been told once more."""
        self._expected += WATCHING
        if self._told < self._expected:
            self._complete.clear()
            await self._complete.wait()


class _Listener(asyncio.Protocol):
    def __init__(self, audience: _Audience) -> None:
        self._audience = audience

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        path = f"{LIVE_PATH}?account={bank.account_name(0)}"
        transport.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        self._audience.heard(data.count(b"data: "))


async def _told(port: int, turns: Turns) -> Sample:
    """Send one command after the other, each when everybody has been told what the one before has changed."""
    loop, audience = asyncio.get_running_loop(), _Audience()
    streams = [
        (await loop.create_connection(lambda: _Listener(audience), "127.0.0.1", port))[0] for _ in range(WATCHING)
    ]
    await audience.all_told()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    turns.begin()
    for number in turns:
        writer.write(post(PATH, encode(bank.deposit(0, number))))
        await audience.all_told()
        await reader.read(1 << 16)
    sample = turns.end(WATCHING)
    for stream in streams:
        stream.close()
    writer.close()
    await writer.wait_closed()
    return sample
