"""One request and its response: headers, a body up to a limit, and problem documents for whatever goes wrong."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from starlette.types import Receive, Scope, Send

from twofold.errors import NotRunning
from twofold.http.problems import Problem, problem_of
from twofold.messages import Metadata, current, encode
from twofold.messages.metadata import NOTHING

CORRELATION = b"x-correlation-id"
RECEIPT = b"twofold-receipt"
IDEMPOTENCY_KEY = b"idempotency-key"

ENDING = "twofold.ending"
"""Where, in the state that a server shares with its requests, the event is that says that it is about to end."""

_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_JSON = (b"content-type", b"application/json")
_PROBLEM = (b"content-type", b"application/problem+json")
_REVALIDATED = (b"cache-control", b"no-cache")
_VARIES = (b"vary", b"accept")
_TAG = re.compile(rb'"[^"]*"')
_DISCARDED_BYTES = 8 << 20

Response = tuple[int, list[tuple[bytes, bytes]], bytes]


class Stream(Protocol):
    """A response that goes on, and sends itself."""

    async def respond(self, send: Send) -> None:
        """Send all of it."""
        ...


class Gone(Exception):
    """The client has closed the connection; nobody is left to answer."""


class Exchange:
    """A request as endpoints see it."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._receive = receive

    def header(self, name: bytes) -> str:
        """Return a header's value, '' if it is missing.

        Raises:
            Problem: it has other than printable ASCII characters, or none, or more than 200.
        """
        value = self.headers.get(name)
        if value is None:
            return ""
        text = value.decode("latin-1").strip()
        if not _PRINTABLE.fullmatch(text):
            raise _unusable(name)
        return text

    def idempotency_key(self) -> str:
        """Return the key, '' if there is none. As a structured field (RFC 8941) it is in quotes.

        Raises:
            Problem: it cannot be used.
        """
        text = self.header(IDEMPOTENCY_KEY)
        key = text.strip('"')
        if text and not key:
            raise _unusable(IDEMPOTENCY_KEY)
        return key

    def metadata(self, new_id: Callable[[], str]) -> Metadata:
        """Return what the request says of its circumstances; who is in a trace and says no more is correlated by that."""
        traceparent = self.headers.get(b"traceparent", b"").decode("latin-1")
        trace = _TRACEPARENT.fullmatch(traceparent)
        correlation = self.header(CORRELATION) or (trace[1] if trace else new_id())
        return Metadata(correlation=correlation, traceparent=traceparent if trace else "")

    def require(self, *methods: str) -> None:
        """Check the method.

        Raises:
            Problem: it is another one.
        """
        if self.scope["method"] not in methods:
            allowed = ", ".join(methods)
            raise Problem(
                405,
                "method-not-allowed",
                "This path has other methods",
                f"{self.scope['path']} takes {allowed}, and the request was {self.scope['method']}.",
                allow=allowed,
            )

    async def json_body(self, limit_bytes: int) -> bytes:
        """Return the body.

        Raises:
            Problem: it is over the limit, or said to be something else than JSON.
        """
        self._require_json()
        length = _length(self.headers)
        if length > limit_bytes:
            raise await self._too_large(limit_bytes, more=length <= _DISCARDED_BYTES)
        body = bytearray()
        more = True
        while more:
            part, more = await self._part()
            body += part
            if len(body) > limit_bytes:
                raise await self._too_large(limit_bytes, more)
        return bytes(body)

    def _require_json(self) -> None:
        kind = self.headers.get(b"content-type")
        if kind in (b"application/json", None):
            return
        essence = self.header(b"content-type").partition(";")[0].strip().lower()
        if essence != "application/json" and not essence.endswith("+json"):
            raise Problem(
                415,
                "unsupported-media-type",
                "The body has to be JSON",
                f"Content-Type is {essence!r}; send it as application/json.",
            )

    async def _part(self) -> tuple[Any, bool]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Gone
        return message.get("body", b""), message.get("more_body", False)

    async def _too_large(self, limit_bytes: int, more: bool) -> Problem:
        """Return the problem, once the client has sent the rest, if that is not too long: it might not look at it before."""
        discarded = 0
        while more and discarded <= _DISCARDED_BYTES:
            part, more = await self._part()
            discarded += len(part)
        return Problem(
            413,
            "body-too-large",
            "The body is too large",
            f"A body has at most {limit_bytes} bytes here. Send less in one message, or raise TWOFOLD_MAX_BODY_BYTES.",
            connection="close",
        )

    async def wait_for(self, *awaited: Coroutine[Any, Any, None], seconds: float | None = None) -> None:
        """Wait for the first of these, for so long at most, and no longer than the client is there and the server goes on.

        Raises:
            Gone: the client is not there any more.
        """
        waiting = [asyncio.ensure_future(each) for each in (*awaited, self._until_gone())]
        ending: asyncio.Event | None = self.scope.get("state", {}).get(ENDING)
        if ending is not None:
            waiting.append(asyncio.ensure_future(_until(ending)))
        try:
            done, _ = await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        for each in done:
            each.result()

    async def _until_gone(self) -> None:
        while True:
            await self._part()


def _length(headers: dict[bytes, bytes]) -> int:
    """Return how long the body is said to be, 0 if nothing is."""
    digits = headers.get(b"content-length", b"")
    return int(digits[:19]) if digits.isdigit() else 0


def _unusable(name: bytes) -> Problem:
    detail = f"{name.decode()}: send 1 to 200 printable ASCII characters, or leave it out."
    return Problem(400, "invalid-header", "A header cannot be used", detail)


async def _until(ending: asyncio.Event) -> None:
    await ending.wait()


def conditional_response(exchange: Exchange, data: bytes, digest: str) -> Response:
    """Return JSON with its digest as the entity tag, or 304 without it if that is what the client has."""
    tag = b'"%s"' % digest.encode()
    headers = [(b"etag", tag), _REVALIDATED, _VARIES]
    known = exchange.headers.get(b"if-none-match")
    if known is not None and (known.strip() == b"*" or tag in _TAG.findall(known)):
        return 304, headers, b""
    return 200, [_JSON, *headers], data


def json_response(value: Any, *headers: tuple[bytes, bytes]) -> Response:
    """Return a response with a value as JSON."""
    return encoded_response(encode(value), *headers)


def encoded_response(data: bytes, *headers: tuple[bytes, bytes]) -> Response:
    """Return a response with JSON."""
    return 200, [_JSON, *headers], data


class Endpoint:
    """An ASGI application for one path: ``answer`` gives the response, and what it raises becomes a problem document."""

    def __init__(self, answer: Callable[[Exchange], Awaitable[Response | Stream]], new_id: Callable[[], str]) -> None:
        self._answer = answer
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = current.set(NOTHING)
        try:
            response = await self._response(Exchange(scope, receive))
            if isinstance(response, tuple):
                await _respond(response, scope["method"], current.get().correlation, send)
            elif response is not None:
                await response.respond(send)
        finally:
            current.reset(token)

    async def _response(self, exchange: Exchange) -> Response | Stream | None:
        """Return the response, None if nobody waits for it. From here on, the request's metadata are the current ones."""
        try:
            current.set(exchange.metadata(self._new_id))
            return await self._answer(exchange)
        except Gone:
            return None
        except asyncio.CancelledError:
            # The server has waited long enough, and ends: who is still there learns what to do.
            ending = NotRunning("The service is ending. Send it again, a command with the same Idempotency-Key.")
            return self._problem(exchange, ending)
        except Exception as error:
            return self._problem(exchange, error)

    def _problem(self, exchange: Exchange, error: Exception) -> Response:
        if not current.get().correlation:
            current.set(Metadata(correlation=self._new_id()))
        document, headers = problem_of(error, exchange.scope["path"], current.get().correlation)
        fields = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        return document.status, [_PROBLEM, *fields], encode(document)


async def _respond(response: Response, method: str, correlation: str, send: Send) -> None:
    status, headers, body = response
    length = [] if status == 304 else [(b"content-length", b"%d" % len(body))]
    headers = [*headers, *length, (CORRELATION, correlation.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
