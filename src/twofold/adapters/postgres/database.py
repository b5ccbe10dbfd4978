"""A PostgreSQL database as the adapters use it: connections that are replaced when they break, and clear errors."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

import asyncpg

from twofold.adapters.postgres.address import EXAMPLE, Address
from twofold.adapters.postgres.failures import FAILURES, FAULTS, failure_of, leaves_connection, may_pass
from twofold.backoff import Backoff
from twofold.clock import Clock
from twofold.errors import LogUnavailable, SettingsError, ValueRefused
from twofold.limits import PostgresqlLimits
from twofold.urls import without_quotations

T = TypeVar("T")
Connection: TypeAlias = "asyncpg.Connection[Any]"
Work: TypeAlias = Callable[[Connection], Awaitable[T]]
_Lend: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]

UNBOUNDED = math.inf

_CLOSE_SECONDS = 1.0
# On the server, what a client has given up ends before the client gives it up: the wait for a lock, and every statement.
_OF_LOCKS, _OF_STATEMENTS = 0.5, 0.8
_IDLE_SECONDS = 30
_SETTINGS = {
    "idle_in_transaction_session_timeout": f"{_IDLE_SECONDS}s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30s",
}
_BACKOFF = Backoff(first_seconds=0.02, longest_seconds=1.0)


class Database:
    """One connection for writing and a few for reading, each made when it is needed and replaced when it fails.

    Those for reading are shared by whatever a process has in one database: a system has no more of them than a service.

    Work that fails for a reason that may pass (a lost connection, a restart, a failover) is done again, as long as the limits
    have patience: so it must be such that doing it twice does no harm.
    """

    def __init__(self, address: Address, clock: Clock, limits: PostgresqlLimits = PostgresqlLimits()) -> None:
        self.address = address
        self.read_only = False
        self._direct: bool | None = None
        self._clock = clock
        self.limits = limits
        self._writer = _Connections(self.connect, 1)
        self._apart = _Connections(self.connect, 1)
        self._readers: _Connections | None = None

    async def run(self, work: Work[T], call_seconds: float | None = None) -> T:
        """Do work beside other work, each try for at most ``call_seconds``, or as long as a call may take.

        Raises:
            LogUnavailable: it cannot be done now; the text names the URL, gives the reason and says what can be done.
            ValueRefused: it cannot be done with these values, and was not tried again.
        """
        if self._readers is None:
            self._readers = _shared_readers(self)
        return await self._persist(self._readers.one, work, call_seconds)

    async def run_apart(self, work: Work[T]) -> T:
        """Do what must not wait for other work, however much of that there is, on a connection of its own.

        Raises:
            LogUnavailable, ValueRefused: as with `run`.
        """
        return await self._persist(self._apart.one, work)

    async def write(self, work: Work[T], call_seconds: float | None = None) -> T:
        """Do work on the one connection for writing, each try for at most ``call_seconds``, or as long as a call may take.

        Raises:
            LogUnavailable: as with `run`; the text says whether the work may have been done all the same.
            ValueRefused: as with `run`; nothing of the work was done.
        """
        unknown = False

        async def noted(connection: Connection) -> T:
            nonlocal unknown
            before, unknown = unknown, True
            try:
                return await work(connection)
            except Exception as error:
                # A server that refuses has done nothing; one that does not answer may be doing it still.
                unknown = before or not leaves_connection(error)
                raise

        try:
            return await self._persist(self._writer.one, noted, call_seconds)
        except ValueRefused as error:
            raise ValueRefused(f"{error} Nothing of this batch was stored.") from error.__cause__
        except LogUnavailable as error:
            stored = "Whether this batch was stored is not known." if unknown else "Nothing of this batch was stored."
            raise LogUnavailable(f"{error} {stored}") from error.__cause__

    async def connect(self) -> Connection:
        """Open a connection to the server that takes writes, or where nothing is written to any; whoever asks closes it.

        The server ends by itself what waits for a lock, and transactions that nobody goes on with.

        Raises:
            SettingsError: the driver cannot read the URL.
        """
        if await self.is_direct():
            lock_timeout = f"{_milliseconds(self.limits.call_seconds * _OF_LOCKS)}ms"
            return await self._connect({"lock_timeout": lock_timeout, **_SETTINGS})
        return await self._connect({}, statement_cache_size=0)

    async def is_direct(self) -> bool:
        """Say whether a connection is to one server process, and not to a pooler that may change it between statements.

        Prepared statements would get mixed up then, and notifications get lost. A pooler gives itself away by naming
        a process that is not the one that answers.
        """
        if self._direct is None:
            connection = await self._connect({}, statement_cache_size=0)
            try:
                self._direct = connection.get_server_pid() == await connection.fetchval("SELECT pg_backend_pid()")
            finally:
                await close(connection)
        return self._direct

    async def _connect(self, settings: dict[str, str], **options: Any) -> Connection:
        if "target_session_attrs=" not in self.address.dsn:
            options["target_session_attrs"] = "any" if self.read_only else "primary"
        settings = {"application_name": f"twofold {self.address.schema}"} | settings
        given = {name: value for name, value in settings.items() if f"{name}=" not in self.address.dsn}
        options["server_settings"] = given
        try:
            connection: Connection = await asyncpg.connect(
                self.address.dsn, timeout=self.limits.connect_seconds, **options
            )
        except ValueError as error:
            # Without its cause, which may quote what is secret in the URL.
            raise SettingsError(f"{self.address}: {without_quotations(str(error))}. {EXAMPLE}") from None
        return connection

    async def close(self) -> None:
        """Close the connections that nobody else uses."""
        closing = [self._writer, self._apart]
        if self._readers is not None:
            self._readers.users.discard(self)
            if not self._readers.users:
                closing.append(self._readers)
        await asyncio.gather(*[each.close() for each in closing])

    async def _persist(self, lend: _Lend, work: Work[T], call_seconds: float | None = None) -> T:
        began, patience_seconds = self._clock.monotonic(), self.limits.patience_seconds
        call_seconds = self.limits.call_seconds if call_seconds is None else call_seconds
        bound = None if call_seconds == UNBOUNDED else min(call_seconds, patience_seconds)
        attempt = 0
        while True:
            attempt += 1
            tried = self._clock.monotonic()
            try:
                async with AsyncExitStack() as stack:
                    async with asyncio.timeout(bound):
                        connection = await stack.enter_async_context(lend())
                    if bound is not None:
                        # A transaction that is given up is rolled back, and of that a dead network would never let go.
                        cut = asyncio.get_running_loop().call_later(bound + _CLOSE_SECONDS, connection.terminate)
                        stack.callback(cut.cancel)
                    # From here on, so that the server gives up first.
                    await stack.enter_async_context(asyncio.timeout(bound))
                    await stack.enter_async_context(self._limits(connection, bound))
                    return await work(connection)
            except FAULTS as error:
                now = self._clock.monotonic()
                pause = _BACKOFF.pause_seconds(attempt, self._clock.random())
                # Another try may take as long as this one, and has to have ended in time, too.
                if not may_pass(error) or now + pause + (now - tried) > began + patience_seconds:
                    raise failure_of(self.address, error, f"Tried for {now - began:.1f} seconds.") from error
            await self._clock.sleep(pause)

    @asynccontextmanager
    async def _limits(self, connection: Connection, bound: float | None) -> AsyncIterator[None]:
        """Have the server give up work before we do: nothing that was reported as failed takes effect later."""
        waits = self.limits.patience_seconds if bound is None else bound * _OF_LOCKS
        runs = 0 if bound is None else bound * _OF_STATEMENTS
        limits = f"lock_timeout = {_milliseconds(waits)}; SET {{0}} statement_timeout = {_milliseconds(runs)}"
        if await self.is_direct():
            if _limited.get(connection) != limits:
                await connection.execute(f"SET {limits.format('SESSION')}")
                _limited[connection] = limits
            yield
        else:
            # The next statement may meet another server process, unless it is in one transaction.
            async with connection.transaction(isolation="read_committed"):
                await connection.execute(f"SET LOCAL {limits.format('LOCAL')}")
                yield


def _milliseconds(seconds: float) -> int:
    """Return a time as PostgreSQL takes it, and never 0 for one that is shorter: to PostgreSQL, 0 is no limit at all."""
    return math.ceil(seconds * 1000)


class _Connections:
    """At most so many connections, lent to one after the other, and thrown away when a failure may have broken one."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], most: int) -> None:
        self._connect = connect
        self._turns = asyncio.Semaphore(most)
        self._free: list[Connection] = []
        self.closed = False
        self.users: set[Database] = set()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Connection]:
        async with self._turns:
            connection = self._working() or await self._connect()
            try:
                yield connection
            except BaseException as error:
                if self._is_usable(connection) and leaves_connection(error):
                    self._free.append(connection)
                else:
                    connection.terminate()
                raise
            if self.closed:
                await close(connection)
            else:
                self._free.append(connection)

    def _is_usable(self, connection: Connection) -> bool:
        return not (self.closed or connection.is_closed() or connection.is_in_transaction())

    def _working(self) -> Connection | None:
        while self._free:
            connection = self._free.pop()
            if not connection.is_closed():
                return connection
        return None

    async def close(self) -> None:
        self.closed = True
        free, self._free = self._free, []
        await asyncio.gather(*[close(connection) for connection in free])


# What was set on a connection: mostly the same as for the call before.
_limited: WeakKeyDictionary[Connection, str] = WeakKeyDictionary()

# By event loop and DSN, for as long as somebody uses them.
_shared: WeakValueDictionary[tuple[asyncio.AbstractEventLoop, str, bool], _Connections] = WeakValueDictionary()


def _shared_readers(database: Database) -> _Connections:
    place = (asyncio.get_running_loop(), database.address.dsn, database.read_only)
    readers = _shared.get(place)
    if readers is None or readers.closed:
        readers = _shared[place] = _Connections(database.connect, database.limits.read_connections)
    readers.users.add(database)
    return readers


async def close(connection: Connection) -> None:
    """Say goodbye to the server, or just hang up if it does not answer."""
    try:
        await connection.close(timeout=_CLOSE_SECONDS)
    except FAILURES:
        connection.terminate()
