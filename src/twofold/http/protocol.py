"""What uvicorn leaves open of a connection: how long a head may be and take, and what is said to what is no request."""

from __future__ import annotations

from collections import deque
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from twofold.http.bounds import too_many
from twofold.http.problems import Problem
from twofold.limits import HttpLimits
from twofold.messages import encode

_NOWHERE: deque[tuple[bytes, bytes]] = deque(maxlen=0)


class Config(uvicorn.Config):
    """How this server serves, and the limits of what it takes."""

    def __init__(self, app: Any, limits: HttpLimits) -> None:
        super().__init__(
            app,
            http=Protocol,
            ws="none",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=limits.drain_seconds,
            timeout_keep_alive=limits.keep_alive_seconds,
            lifespan="on",
            server_header=False,
        )
        self.limits = limits


class Protocol(HttpToolsProtocol):
    """One connection. Its head is bounded before it is whole; trailers are left out, which would pass for headers."""

    def __init__(self, config: Config, *args: Any, **options: Any) -> None:
        super().__init__(config, *args, **options)
        self._limits = config.limits
        self._most_head_bytes = config.limits.max_header_bytes + 2 * config.limits.max_url_bytes
        self._in_head = False
        self._head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Take in what has come."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self._most_head_bytes and not self.transport.is_closing():
                self._refuse(too_many(self._limits))

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """Begin with the request."""
        self._in_head = False
        super().on_headers_complete()
        self.headers: Any = _NOWHERE

    @property
    def waits_for_a_head(self) -> bool:
        """Whether no request is under way, and so whatever comes next is the head of one."""
        return self.cycle is None or self.cycle.response_complete

    def send_400_response(self, msg: str) -> None:
        """Answer to what is no request of HTTP/1.1."""
        self._refuse(Problem(400, "not-http", "That is not a request", "It cannot be read as a request of HTTP/1.1."))

    def _refuse(self, problem: Problem) -> None:
        body = encode(problem.document)
        head = (
            b"content-type: application/problem+json\r\nx-content-type-options: nosniff\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n"
        ) % len(body)
        self.transport.write(STATUS_LINE[problem.document.status] + head + body)
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: nobody here has to install anything, and anybody could fill the log with it."""
