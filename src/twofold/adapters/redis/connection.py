"""A connection to Redis, which is not mended when it breaks, and what is told when something goes wrong on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import msgspec
from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from twofold.adapters.redis.settings import RedisSettings
from twofold.clock import Clock
from twofold.errors import BrokerUnavailable

T = TypeVar("T")

_CLOSING_SECONDS: Final = 1.0
_FAILURES: Final = (exceptions.RedisError, OSError, asyncio.TimeoutError)


class Flaw(msgspec.Struct, frozen=True):
    """What is told of an error: what it means, and what to do."""

    meaning: str
    cure: str


_AWAY: Final = Flaw("cannot be reached", "Look whether it runs, and whether the URL is right.")
_SLOW: Final = Flaw(
    "has not answered in time", "Look whether it is overloaded, or its disk is: `redis-cli LATENCY DOCTOR`."
)
_REFUSES: Final = Flaw("refuses it", "Look what is in its log.")
_BY_KIND: Final = {
    exceptions.AuthenticationError: Flaw("does not let us in", "Look at the user and the password in its URL."),
    exceptions.NoPermissionError: Flaw(
        "does not permit it", "Give the user the right: `redis-cli ACL LOG` shows which."
    ),
    exceptions.OutOfMemoryError: Flaw(
        "is full", "Raise its maxmemory, or trim streams that everybody has read: XTRIM."
    ),
    exceptions.ReadOnlyError: Flaw("is a replica", "Name the primary in the URL, or all of its servers."),
    exceptions.BusyLoadingError: Flaw("is still reading its data", "Wait until it is done."),
    exceptions.AskError: Flaw("is a cluster", "Name a server that is none: streams are not looked for in several."),
}
_BY_BEGINNING: Final = {
    "MISCONF": Flaw("cannot write to its disk", "Make room there: `redis-cli INFO persistence` says more."),
    "NOREPLICAS": Flaw("has too few replicas", "Look whether they run: `redis-cli INFO replication`."),
    "NOGROUP": Flaw("has lost a group", "It is made again, and all of the stream is read again."),
    "WRONGTYPE": Flaw(
        "has something else by that name", "Name streams otherwise: stream= and dead_letters= in the URL."
    ),
}


class RedisConnection:
    """One connection, by which commands are answered in order; with the first failure it is of no use any more."""

    def __init__(self, settings: RedisSettings, server: str) -> None:
        self._settings = settings
        host, _, port = server.rpartition(":")
        # A pool of one, as by another connection one would not learn what became of what went by the first.
        pool = BlockingConnectionPool(
            connection_class=SSLConnection if settings.is_encrypted else Connection,
            max_connections=1, timeout=None, host=host.strip("[]"), port=int(port), db=settings.database,
            username=settings.url.user or None, password=settings.url.password or None, protocol=2,
            socket_timeout=None, socket_connect_timeout=None, retry=Retry(NoBackoff(), 0), client_name="twofold",
        )  # fmt: skip
        self._client: Redis = Redis.from_pool(pool)

    async def call(self, *command: str | bytes | int, besides_seconds: float = 0.0) -> Any:
        """Send a command and return the answer, which may take so much longer than usual.

        Raises:
            BrokerUnavailable: there was none, or it was a refusal.
        """
        asking: Awaitable[Any] = self._client.execute_command(*command)  # type: ignore[no-untyped-call]
        return await self._answer(asking, besides_seconds)

    async def call_all(
        self, commands: Sequence[Sequence[str | bytes | int]], besides_seconds: float = 0.0
    ) -> list[Any]:
        """Send commands at once, and return all answers.

        Raises:
            BrokerUnavailable: there were none, or one of them was a refusal.
        """
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers = await self._answer(pipeline.execute(raise_on_error=False), besides_seconds)
        for answer in answers:
            for each in answer if isinstance(answer, list) else (answer,):
                if isinstance(each, exceptions.RedisError):
                    raise self.failure(each) from each
        return answers

    async def _answer(self, asking: Awaitable[T], besides_seconds: float) -> T:
        try:
            async with asyncio.timeout(self._settings.answer_seconds + besides_seconds):
                return await asking
        except _FAILURES as error:
            raise self.failure(error) from error

    def failure(self, error: BaseException) -> BrokerUnavailable:
        """Return an error of the client as a sentence."""
        flaw, said = _flaw(error), str(error).rstrip(".") or type(error).__name__
        return BrokerUnavailable(f"Redis at {self._settings.url} {flaw.meaning}: {said}. {flaw.cure}")

    async def close(self) -> None:
        """Let go of it, also if the server does not answer any more."""
        with suppress(*_FAILURES):
            async with asyncio.timeout(_CLOSING_SECONDS):
                await self._client.aclose()


def _flaw(error: BaseException) -> Flaw:
    for kind, flaw in _BY_KIND.items():
        if isinstance(error, kind):
            return flaw
    if isinstance(error, exceptions.ResponseError):
        return _BY_BEGINNING.get(str(error).partition(" ")[0], _REFUSES)
    return _SLOW if isinstance(error, (asyncio.TimeoutError, exceptions.TimeoutError)) else _AWAY


async def connect(settings: RedisSettings, clock: Clock) -> RedisConnection:
    """Return a connection to the server of a URL that takes what is written; which of several that is may change.

    Raises:
        BrokerUnavailable: none of them can be reached, or the last one that can does not let us in.
    """
    servers = sorted(settings.url.servers, key=lambda _: clock.random())
    failure = BrokerUnavailable(f"Redis at {settings.url} has replicas alone. Look which server is the primary.")
    for server in servers:
        connection = RedisConnection(settings, server)
        try:
            if len(servers) == 1 or (await connection.call("ROLE"))[0] == b"master":
                await connection.call("PING")
                return connection
        except BrokerUnavailable as error:
            failure = error
        except BaseException:
            await connection.close()
            raise
        await connection.close()
    raise failure
