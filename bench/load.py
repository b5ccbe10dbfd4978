"""An HTTP client that does little, so that it is the server that is measured: requests are ready, answers hardly read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import cast

from bench.model import Sample, Turns


class _Connection(asyncio.Protocol):
    """One connection that is kept alive, and sends its request again with each answer until the turns are over."""

    def __init__(self, request: bytes, turns: Turns) -> None:
        self._request = request
        self._turns = turns
        self._received = b""
        self._transport: asyncio.Transport
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self) -> None:
        """Take a turn, or end."""
        if next(self._turns, None) is None:
            self.over.set_result(None)
        else:
            self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < _content_length(head):
            return
        self._received = b""
        if head.startswith(b"HTTP/1.1 2"):
            self.send()
        else:
            self.over.set_exception(AssertionError((head + end + body).decode()))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(exc or ConnectionError("the server closed the connection"))

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


def _content_length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0] or 0)


def post(path: str, body: bytes) -> bytes:
    """Return the bytes of a POST with JSON."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def put_under_load(port: int, requests: Sequence[bytes], turns: Turns) -> Sample:
    """Send requests over as many connections as there are requests, each its own again and again."""
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(partial(_Connection, request, turns), "127.0.0.1", port))[1]
        for request in requests
    ]
    processor = time.process_time()
    turns.begin()
    for connection in connections:
        connection.send()
    await asyncio.gather(*[connection.over for connection in connections])
    sample = turns.end()
    busy = (time.process_time() - processor) / sample.seconds
    for connection in connections:
        connection.close()
    return Sample(sample.operations, sample.seconds, f"the load client was busy {busy:.0%} of the time")
