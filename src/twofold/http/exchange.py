"""One request and its response: headers, a body up to a limit, and problem documents for whatever goes wrong."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import Receive, Scope, Send

from twofold.http.problems import Problem, problem_of
from twofold.messages import Metadata, encode

CORRELATION = b"x-correlation-id"
RECEIPT = b"twofold-receipt"
IDEMPOTENCY_KEY = b"idempotency-key"

_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_JSON = (b"content-type", b"application/json")
_PROBLEM = (b"content-type", b"application/problem+json")

Response = tuple[int, list[tuple[bytes, bytes]], bytes]


class Exchange:
    """A request as endpoints see it."""

    def __init__(self, scope: Scope, receive: Receive, correlation: str) -> None:
        self.scope = scope
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.correlation = correlation
        self._receive = receive

    def header(self, name: bytes) -> str:
        """Return a header's value, '' if it is missing.

        Raises:
            Problem: it has other than printable ASCII characters, or more than 200.
        """
        value = self.headers.get(name)
        if value is None:
            return ""
        text = value.decode("latin-1").strip()
        if text and not _PRINTABLE.fullmatch(text):
            raise Problem(
                400,
                "invalid-header",
                "A header cannot be used",
                f"{name.decode()}: send 1 to 200 printable ASCII characters, or leave it out.",
            )
        return text

    def metadata(self) -> Metadata:
        """Return what the request says of its circumstances."""
        traceparent = self.headers.get(b"traceparent", b"").decode("latin-1")
        return Metadata(
            correlation=self.correlation, traceparent=traceparent if _TRACEPARENT.fullmatch(traceparent) else ""
        )

    async def json_body(self, limit_bytes: int) -> bytes:
        """Return the body.

        Raises:
            Problem: it is over the limit, or said to be something else than JSON.
        """
        kind = self.header(b"content-type").partition(";")[0].lower() or "application/json"
        if kind != "application/json" and not kind.endswith("+json"):
            raise Problem(
                415,
                "unsupported-media-type",
                "The body has to be JSON",
                f"Content-Type is {kind!r}; send application/json.",
            )
        length = self.headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > limit_bytes:
            raise _too_large(limit_bytes)
        body = b""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ConnectionAbortedError
            part: bytes = message.get("body", b"")
            body += part
            if len(body) > limit_bytes:
                raise _too_large(limit_bytes)
            if not message.get("more_body"):
                return body

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


def _too_large(limit_bytes: int) -> Problem:
    return Problem(
        413,
        "body-too-large",
        "The body is too large",
        f"A body has at most {limit_bytes} bytes here. Send less in one message, or raise TWOFOLD_MAX_BODY_BYTES.",
        connection="close",
    )


def json_response(value: Any, *headers: tuple[bytes, bytes]) -> Response:
    """Return a response with a value as JSON."""
    return 200, [_JSON, *headers], encode(value)


class Endpoint:
    """An ASGI application for one path: ``answer`` gives the response, and what it raises becomes a problem document."""

    def __init__(self, answer: Callable[[Exchange], Awaitable[Response]], new_id: Callable[[], str]) -> None:
        self._answer = answer
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        correlation = self._new_id()
        try:
            exchange = Exchange(scope, receive, correlation)
            correlation = exchange.correlation = exchange.header(CORRELATION) or correlation
            status, headers, body = await self._answer(exchange)
        except ConnectionAbortedError:
            return
        except Exception as error:
            document, extra = problem_of(error, scope["path"], correlation)
            status, body = document.status, encode(document)
            headers = [_PROBLEM, *[(name.encode(), value.encode("latin-1")) for name, value in extra.items()]]
        headers += [(b"content-length", b"%d" % len(body)), (CORRELATION, correlation.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
