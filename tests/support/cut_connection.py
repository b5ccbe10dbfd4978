"""A wire between a client and its server that a test can cut at a chosen point of the conversation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

Point: TypeAlias = Literal["before the request", "within the request", "after the request", "before the answer"]
POINTS: tuple[Point, ...] = ("before the request", "within the request", "after the request", "before the answer")


class CuttingProxy:
    """Forwards every connection to the server, until it is told to cut one.

    ``url`` is the server's, by way of the proxy.
    """

    def __init__(self, url: str) -> None:
        self.cuts = 0
        self._target = urlsplit(url)
        self._next: Point | None = None
        self._spared = 0
        self._conversations: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self.url = ""

    def cut_next(self, point: Point, spared: int = 0) -> None:
        """Cut the connection on which the client speaks next, before or after the server has heard it.

        Before that, so many times that a client speaks are spared.
        """
        self._next = point
        self._spared = spared

    def has_cut(self) -> bool:
        """Say whether the cut that was asked for has been made."""
        return self._next is None

    def cut_all(self) -> None:
        """Cut every connection now, wherever it is."""
        for conversation in self._conversations:
            conversation.cancel()

    def hold(self) -> None:
        """Let nothing through in either direction, as a network that drops packets."""
        self._open.clear()

    def let_go(self) -> None:
        """Let everything through again, with what was held back."""
        self._open.set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[CuttingProxy]:
        """Serve on a free port for a block."""
        listener = await asyncio.start_server(self._converse, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        self.url = self._target._replace(netloc=f"{self._target.username}@127.0.0.1:{port}").geturl()
        try:
            yield self
        finally:
            listener.close()
            self.cut_all()
            await asyncio.gather(*self._conversations, return_exceptions=True)

    async def _converse(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._forward(client, to_client)
        finally:
            to_client.transport.abort()
            self._conversations.discard(task)

    async def _forward(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection(self._target.hostname, self._target.port)
        muted = asyncio.Event()
        answering = asyncio.create_task(self._answers(server, to_client, muted))
        try:
            while request := await client.read(1 << 20):
                await self._open.wait()
                point = self._due()
                self.cuts += point is not None
                if point == "before the request":
                    return
                if point == "within the request":
                    to_server.write(request[: len(request) // 2])
                    await to_server.drain()
                    return
                if point == "before the answer":
                    muted.set()
                to_server.write(request)
                await to_server.drain()
                if point == "after the request":
                    return
                if point == "before the answer":
                    await answering
                    return
        finally:
            answering.cancel()
            to_server.transport.abort()

    def _due(self) -> Point | None:
        if self._next is not None and self._spared > 0:
            self._spared -= 1
            return None
        point, self._next = self._next, None
        return point

    async def _answers(
        self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter, muted: asyncio.Event
    ) -> None:
        """Forward answers; once muted, swallow the next one and end."""
        with suppress(OSError):
            while answer := await server.read(1 << 20):
                await self._open.wait()
                if muted.is_set():
                    return
                to_client.write(answer)
                await to_client.drain()
        to_client.transport.abort()
