"""Server-sent events: the answers to a live query as a response that goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator

from starlette.types import Send

from twofold.errors import NotRunning
from twofold.http.exchange import CORRELATION, Exchange, Gone
from twofold.http.problems import described
from twofold.messages import current, encode
from twofold.service import QueryFailure, Subscription, Update

LAST_EVENT_ID = b"last-event-id"

_FAREWELL_SECONDS = 1.0
_PIECE_BYTES = 1 << 16
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"vary", b"accept"),
    (b"x-accel-buffering", b"no"),
]

_logger = logging.getLogger("twofold.http")


def wants_events(exchange: Exchange) -> bool:
    """Say whether a request asks for a stream: ``Accept`` names it, and JSON not."""
    accepted = exchange.headers.get(b"accept", b"")
    return b"text/event-stream" in accepted and b"json" not in accepted


class EventStream:
    """A response of events: until the client or the service is gone, or the server is about to end."""

    def __init__(self, exchange: Exchange, subscription: Subscription[object], retry_ms: int) -> None:
        self._exchange = exchange
        self._subscription = subscription
        self._retry_ms = retry_ms
        self._path = exchange.scope["path"]
        self._sent = 0
        self._sending = False

    async def respond(self, send: Send) -> None:
        """Send all of it."""
        with self._subscription:
            headers = [*_HEADERS, *self._exchange.own_headers, (CORRELATION, current.get().correlation.encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            try:
                if self._exchange.scope["method"] != "HEAD":
                    await self._exchange.wait_for(self._tell(send), self._keep_alive(send))
                async with asyncio.timeout(_FAREWELL_SECONDS):
                    await send({"type": "http.response.body"})
            except Gone:
                return
            except TimeoutError:
                # When it looks again it finds the stream cut short, and can come back with the last id that it has seen.
                _logger.info("A subscriber at %s takes nothing any more: its stream is ended.", self._path)

    async def _tell(self, send: Send) -> None:
        await self._send(send, [b"retry: %d\n\n" % self._retry_ms])
        while True:
            try:
                update = await self._subscription.next()
            except NotRunning:
                return
            if isinstance(update, QueryFailure):
                document, _ = described(update.error, self._path, update.correlation)
                await self._send(send, [b"event: problem\ndata: %s\n\n" % encode(document)])
            else:
                await self._send(send, _pieces(update))

    async def _send(self, send: Send, pieces: Iterable[bytes]) -> None:
        self._sending = True
        for piece in pieces:
            # While the connection has more than it can take, this waits, and what is new meanwhile takes no memory here.
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            self._sent += 1
        self._sending = False

    async def _keep_alive(self, send: Send) -> None:
        """Send a comment if nothing else was sent: that keeps proxies from closing the stream, and finds out who is gone.

        Raises:
            TimeoutError: the subscriber has taken nothing from one heartbeat to the next.
        """
        heartbeat_seconds = self._exchange.limits.heartbeat_seconds
        while True:
            sent = self._sent
            await asyncio.sleep(heartbeat_seconds)
            if self._sent != sent:
                continue
            if self._sending:
                raise TimeoutError
            async with asyncio.timeout(heartbeat_seconds):
                await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})


def _pieces(update: Update[object]) -> Iterator[bytes]:
    """Yield an event in pieces, so that a slow subscriber has no copy of its own of a large answer in memory."""
    skipped = b'event: skipped\ndata: {"skipped":%d}\n\n' % update.skipped if update.skipped else b""
    head = b"%sid: %s\ndata: " % (skipped, update.id.encode())
    # Only an answer that has JSON of its own in it can have lines, and each has to begin anew.
    data = b"\ndata: ".join(update.data.splitlines())
    if len(data) <= _PIECE_BYTES:
        yield b"%s%s\n\n" % (head, data)
        return
    yield head
    for start in range(0, len(data), _PIECE_BYTES):
        yield data[start : start + _PIECE_BYTES]
    yield b"\n\n"
