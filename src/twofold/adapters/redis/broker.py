"""Redis as a broker: a connection for what is published, and one for each source that is heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from twofold.adapters.redis.connection import RedisConnection, connect
from twofold.adapters.redis.fields import Entry, fields_of
from twofold.adapters.redis.incoming import RedisIncoming
from twofold.adapters.redis.settings import RedisSettings
from twofold.clock import Clock
from twofold.errors import BrokerUnavailable
from twofold.limits import Limits
from twofold.messaging import BrokerTransport, Message


class RedisBroker:
    """A `Broker`. Nothing is connected to before it is needed."""

    def __init__(self, settings: RedisSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._turn = asyncio.Lock()
        self._connection: RedisConnection | None = None

    async def publish(self, source: str, messages: Sequence[Message]) -> None:
        """Add all messages, or none of them, so that what others read is in order after a refusal too."""
        stream = self._settings.stream(source)
        adding = [(*self._adding(stream), *fields_of(each.attributes, each.data)) for each in messages]
        async with self._turn:
            try:
                if self._connection is None:
                    self._connection = await connect(self._settings, self._clock)
                await self._add(self._connection, stream, [("MULTI",), *adding, ("EXEC",)])
            except BaseException:
                await self._disconnect()
                raise

    def _adding(self, stream: str) -> tuple[str | int, ...]:
        creating = () if self._settings.creates else ("NOMKSTREAM",)
        limit = ("MAXLEN", "~", self._settings.maxlen) if self._settings.maxlen else ()
        return ("XADD", stream, *creating, *limit, "*")

    async def _add(
        self, connection: RedisConnection, stream: str, commands: list[tuple[str | bytes | int, ...]]
    ) -> None:
        seconds, replicas = self._settings.answer_seconds, self._settings.replicas
        if not replicas:
            *_, added = await connection.call_all(commands)
        else:
            waiting = ("WAIT", replicas, int(seconds * 1000))
            *_, added, confirmed = await connection.call_all([*commands, waiting], besides_seconds=seconds)
            if confirmed < replicas:
                raise BrokerUnavailable(
                    f"Redis at {self._settings.url} has kept what was published, but {confirmed} of {replicas} replicas have "
                    f"within {seconds:g} s. Look whether they run: `redis-cli INFO replication`."
                )
        if None in added:
            raise self._settings.missing(stream)

    @asynccontextmanager
    async def incoming(self, group: str, source: str) -> AsyncIterator[RedisIncoming]:
        connection = await connect(self._settings, self._clock)
        try:
            incoming = RedisIncoming(connection, self._settings, self._clock, group, source)
            await incoming.open()
            yield incoming
        finally:
            await connection.close()

    async def close(self) -> None:
        async with self._turn:
            await self._disconnect()

    async def _disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        self._connection = None


def open_transport(url: str, clock: Clock, limits: Limits, sources: Iterable[str]) -> BrokerTransport[Entry]:
    """Return the transport of a URL such as ``redis://user:password@127.0.0.1:6379/0?stream=*:events``.

    Raises:
        SettingsError: it cannot be meant.
    """
    settings = RedisSettings.of(url, limits.broker.answer_seconds)
    return BrokerTransport(RedisBroker(settings, clock), clock, limits.broker)
