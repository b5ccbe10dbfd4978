"""One request and its response: headers, a body up to a limit, and problem documents for whatever goes wrong."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Protocol

from starlette.types import Message, Receive, Scope, Send

from twofold.errors import NotRunning
from twofold.http.access import Access, Headers, preflight
from twofold.http.bounds import check_body_headers, check_transfer, checked_headers
from twofold.http.problems import Problem, problem_of
from twofold.limits import HttpLimits
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
_NOT_SNIFFED = (b"x-content-type-options", b"nosniff")
_OWN_HEADERS = [_NOT_SNIFFED]
_TAG = re.compile(rb'"[^"]*"')
_DISCARDED_BYTES = 8 << 20
_WITHOUT_BODY = (204, 304)

Response = tuple[int, Headers, bytes]


class Stream(Protocol):
    """A response that goes on, and sends itself."""

    async def respond(self, send: Send) -> None:
        """Send all of it."""
        ...


class Gone(Exception):
    """The client has closed the connection; nobody is left to answer."""


class Exchange:
    """A request as endpoints see it."""

    __slots__ = ("_receive", "headers", "limits", "own_headers", "scope")

    def __init__(self, scope: Scope, receive: Receive, limits: HttpLimits) -> None:
        self.scope = scope
        self.limits = limits
        self.headers: Mapping[bytes, bytes] = {}
        self.own_headers: Headers = _OWN_HEADERS
        self._receive = receive

    def admit(self, access: Access) -> Response | None:
        """Take the request in if it may come in, and is not beyond any bound; return the response if that is all it asks.

        Raises:
            Problem: it may not, or it is.
        """
        self.headers = checked_headers(self.scope, self.limits)
        granted = access.admit(self.scope, self.headers)
        if not granted:
            return None
        self.own_headers = [_NOT_SNIFFED, *granted]
        asked = preflight(granted, self.scope, self.headers)
        return None if asked is None else (204, asked, b"")

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
        if IDEMPOTENCY_KEY not in self.headers:
            return ""
        key = self.header(IDEMPOTENCY_KEY).strip('"')
        if not key:
            raise _unusable(IDEMPOTENCY_KEY)
        return key

    def metadata(self, new_id: Callable[[], str]) -> Metadata:
        """Return what the request says of its circumstances; who is in a trace and says no more is correlated by that."""
        given = self.headers.get(b"traceparent")
        if given is None:
            return Metadata(correlation=self.header(CORRELATION) or new_id())
        traceparent = given.decode("latin-1")
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

    async def json_body(self) -> bytes:
        """Return the body. One that is not whole when its request is, has a while to arrive, and longer the larger it may be.

        Raises:
            Problem: it is over the limit, does not arrive, or is not said to be JSON that can be read here.
        """
        check_body_headers(self.headers)
        length, limit_bytes = _length(self.headers), self.limits.max_body_bytes
        if length > limit_bytes:
            # Who asks first whether to send it at all has not begun.
            raise await self._too_large(length <= _DISCARDED_BYTES and b"expect" not in self.headers)
        part, more = _content(await self._receive())
        if not more and len(part) <= limit_bytes:
            return part
        try:
            async with asyncio.timeout(self.limits.body_seconds + limit_bytes / self.limits.body_bytes_per_second):
                return await self._rest(part, more)
        except TimeoutError:
            raise _too_slow() from None

    async def _rest(self, first: bytes, more: bool) -> bytes:
        body = bytearray(first)
        while len(body) <= self.limits.max_body_bytes:
            if not more:
                return bytes(body)
            part, more = _content(await self._receive())
            body += part
        raise await self._too_large(more)

    async def _too_large(self, more: bool) -> Problem:
        """Return the problem, once the client has sent the rest, if that is not too long: it might not look at it before."""
        discarded = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(self.limits.body_seconds):
                while more and discarded <= _DISCARDED_BYTES:
                    part, more = _content(await self._receive())
                    discarded += len(part)
        return Problem(
            413,
            "body-too-large",
            "The body is too large",
            f"A body has at most {self.limits.max_body_bytes} bytes here. Send less in one message, or raise "
            "TWOFOLD_MAX_BODY_BYTES.",
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
            _content(await self._receive())


def _content(message: Message) -> tuple[bytes, bool]:
    """Return what has come of a body, and whether more will."""
    if message["type"] == "http.disconnect":
        raise Gone
    return message.get("body", b""), message.get("more_body", False)


def _too_slow() -> Problem:
    detail = (
        "The rest of the body has not arrived in time. Send it again, over a better connection or in smaller messages."
    )
    return Problem(408, "body-too-slow", "The body has not arrived", detail, connection="close")


def _length(headers: Mapping[bytes, bytes]) -> int:
    """Return how long the body is said to be, 0 if nothing is.

    Raises:
        Problem: it is said to be coded for its transfer in a way that is not read here.
    """
    digits = headers.get(b"content-length")
    if digits is None:
        check_transfer(headers)
        return 0
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

    def __init__(
        self,
        answer: Callable[[Exchange], Awaitable[Response | Stream]],
        new_id: Callable[[], str],
        access: Access,
        limits: HttpLimits,
    ) -> None:
        self._answer = answer
        self._new_id = new_id
        self._access = access
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = current.set(NOTHING)
        try:
            exchange = Exchange(scope, receive, self._limits)
            response = await self._response(exchange)
            if isinstance(response, tuple):
                await _respond(response, exchange, current.get().correlation, send)
            elif response is not None:
                await response.respond(send)
        finally:
            current.reset(token)

    async def _response(self, exchange: Exchange) -> Response | Stream | None:
        """Return the response, None if nobody waits for it. From here on, the request's metadata are the current ones."""
        try:
            done = exchange.admit(self._access)
            current.set(exchange.metadata(self._new_id))
            return await self._answer(exchange) if done is None else done
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


async def _respond(response: Response, exchange: Exchange, correlation: str, send: Send) -> None:
    status, headers, body = response
    headers = [*headers, *exchange.own_headers, (CORRELATION, correlation.encode())]
    if status not in _WITHOUT_BODY:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if exchange.scope["method"] == "HEAD" else body})
