"""A connection to NATS, which ends when it breaks, and what is told when something goes wrong on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from twofold.adapters.broker_url import BrokerUrl
from twofold.adapters.nats.headers import size_of
from twofold.clock import Clock
from twofold.errors import BrokerUnavailable

T = TypeVar("T")

_CLOSING_SECONDS: Final = 1.0
_NO_JETSTREAM: Final = (10008, 10039, 10076)
FAILURES: Final = (nats.errors.Error, OSError, asyncio.TimeoutError, asyncio.InvalidStateError)
"""What the client raises when something is wrong with the server or the way to it."""


class Flaw(msgspec.Struct, frozen=True):
    """What is told of an error: what it means, and what to do."""

    meaning: str
    cure: str


_AWAY = Flaw("cannot be reached", "Look whether it runs, and whether the URL is right.")
_SLOW = Flaw("has not answered in time", "Look whether it is overloaded, and whether most of its servers are there.")
_REFUSES = Flaw("refuses it", "If it is full, make room or raise the limit: `nats stream report` shows all streams.")
_LOGIN = Flaw("does not let us in", "Look at the user and the password in its URL.")
_RIGHTS = Flaw("does not permit it", "Let the user publish to this subject, and subscribe to _INBOX.>.")
_NO_STREAMS = Flaw(
    "does not answer for JetStream", "Start it with --jetstream, or wait until its cluster has a leader."
)
_NO_STREAM = Flaw("has no stream for what is published", "Look whether the stream still has the subjects that it had.")
_TOO_LARGE = Flaw("does not take a message that large", "Raise its max_payload.")


class Connection:
    """A connection that is not mended: whoever needs one opens another, and reads again what was not settled."""

    def __init__(self, url: BrokerUrl, clock: Clock, answer_seconds: float) -> None:
        self._url = url
        self._clock = clock
        self.answer_seconds = answer_seconds
        self._client = Client()
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._said: Exception | None = None
        self.streams = JetStreamContext(self._client, timeout=answer_seconds, publish_async_max_pending=2**31)

    @property
    def client(self) -> Client:
        """The client, for what `answer` then waits for."""
        return self._client

    @property
    def is_lost(self) -> bool:
        """Whether it has broken, or was closed."""
        return self._lost.done() or self._client.is_closed

    async def open(self, scheme: str) -> None:
        """Connect to one of the servers, in no particular order.

        Raises:
            BrokerUnavailable: none of them can be reached, or one does not let us in.
        """
        await self.answer(self._open([f"{scheme}://{server}" for server in self._url.servers]))

    async def _open(self, servers: Sequence[str]) -> None:
        failure: Exception = nats.errors.NoServersError()
        seconds = max(1, int(self.answer_seconds / len(servers)))
        for server in sorted(servers, key=lambda _: self._clock.random()):
            try:
                return await self._client.connect(
                    server, allow_reconnect=False, max_reconnect_attempts=1, reconnect_time_wait=0,
                    connect_timeout=seconds, error_cb=self._told, closed_cb=self._ended, **self._login(),
                )  # fmt: skip
            except FAILURES as error:
                # That no server is left is less than what was told of the last one.
                failure = self._said or error
        raise failure

    def _login(self) -> dict[str, Any]:
        """Return who asks; a user without a password is a token, as in all clients of NATS."""
        if self._url.password:
            return {"user": self._url.user, "password": self._url.password}
        return {"token": self._url.user} if self._url.user else {}

    async def _told(self, error: Exception) -> None:
        """End it when the server refuses something: the client tells that here alone, and would wait on for an answer."""
        self._said = error
        if self._client.is_connected:
            self._end()

    async def _ended(self) -> None:
        self._end()

    def _end(self) -> None:
        if not self._lost.done():
            self._lost.set_result(None)

    async def answer(self, waiting: Awaitable[T], besides_seconds: float = 0.0) -> T:
        """Wait for something that the server has to answer, which may take so much longer than an answer.

        Raises:
            BrokerUnavailable: it did not, or it refused.
            NotFoundError: there is no such stream or consumer.
        """
        # A task of its own, as the client may lose a cancellation that comes while it connects or asks.
        asked = asyncio.ensure_future(waiting)
        try:
            async with asyncio.timeout(self.answer_seconds + besides_seconds):
                await asyncio.wait((asked, self._lost), return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                raise self._said or nats.errors.ConnectionClosedError
            return asked.result()
        except nats.js.errors.NotFoundError:
            raise
        except FAILURES as error:
            raise self.failure(error) from error
        finally:
            await _cancelled(asked)

    def check_size(self, headers: Mapping[str, str], data: bytes) -> None:
        """Check that the server takes a message that large.

        The client looks at the data alone, and the server closes the connection without always saying why.

        Raises:
            BrokerUnavailable: it does not.
        """
        if size_of(headers, data) > self._client.max_payload:
            raise self.failure(nats.errors.MaxPayloadError())

    def failure(self, error: BaseException) -> BrokerUnavailable:
        """Return an error of the client as a sentence."""
        flaw = _flaw(error)
        said = str(getattr(error, "description", None) or error).strip().removeprefix("nats: ") or type(error).__name__
        return BrokerUnavailable(f"NATS at {self._url} {flaw.meaning}: {said}. {flaw.cure}")

    async def close(self) -> None:
        """Let go of it, also if the server does not answer any more."""
        self._end()
        with suppress(*FAILURES):
            async with asyncio.timeout(_CLOSING_SECONDS):
                await self._client.close()


async def _cancelled(asked: asyncio.Future[Any]) -> None:
    """Cancel what is not waited for any more, and let it say nothing."""
    asked.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await asked


def _flaw(error: BaseException) -> Flaw:
    said = str(error).lower()
    if "authorization" in said or "authentication" in said:
        return _LOGIN
    if "permissions" in said:
        return _RIGHTS
    if isinstance(error, nats.js.errors.APIError):
        return _NO_STREAMS if error.err_code in _NO_JETSTREAM else _REFUSES
    if isinstance(error, nats.js.errors.NoStreamResponseError):
        return _NO_STREAM
    if isinstance(error, nats.errors.NoRespondersError):
        return _NO_STREAMS
    if isinstance(error, nats.errors.MaxPayloadError):
        return _TOO_LARGE
    return _SLOW if isinstance(error, asyncio.TimeoutError) else _AWAY


async def connect(url: BrokerUrl, scheme: str, clock: Clock, answer_seconds: float) -> Connection:
    """Return a connection that is open.

    Raises:
        BrokerUnavailable: the broker cannot be reached, or does not let us in.
    """
    connection = Connection(url, clock, answer_seconds)
    try:
        await connection.open(scheme)
    except BaseException:
        await connection.close()
        raise
    return connection
