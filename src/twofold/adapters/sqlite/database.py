"""A SQLite file as the adapters use it: a connection on a thread of its own, pragmas, transactions, schema versions."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from twofold.adapters.sqlite.failures import failure_of
from twofold.adapters.sqlite.files import MEMORY, Files
from twofold.errors import LogUnavailable, SettingsError
from twofold.limits import SqliteLimits

T = TypeVar("T")
Row = tuple[Any, ...]
Work = Callable[[], Any]

_JOURNAL_BYTES = 8 << 20
_LARGE_JOURNAL_BYTES = 12 << 20
_TIDY_SECONDS = 1.0
_TIDY_BUSY_MS = 20
_ROWS_PER_STATEMENT = 64
_VALUES_PER_STATEMENT = 32_766
_TURNS_AT_OPENING = 100


class Connection:
    """One SQLite connection and the one thread that uses it.

    What is asked for while the thread is busy waits together and is done together: handing work to a thread and back costs
    more than most statements.
    """

    def __init__(self, path: str, *, durable: bool, limits: SqliteLimits = SqliteLimits()) -> None:
        self.path = path
        self.read_only = False
        self._durable = durable
        self._limits = limits
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"sqlite-{Path(path).name}")
        self._connection: sqlite3.Connection | None = None
        self._files = Files(path)
        self._looked = False
        self._changed = False
        self._tidying: asyncio.TimerHandle | None = None
        self._closed = False
        self._asked: list[tuple[Work, asyncio.Future[Any]]] = []
        self._working = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the work on the connection's thread.

        Raises:
            LogUnavailable: SQLite failed, or it is closed; the text names the file and gives the reason.
            ValueRefused: SQLite does not take a value or a statement, now or later; nothing was stored.
        """
        if self._closed:
            raise LogUnavailable(f"{self.path} is closed: the service that used it here has ended. Ask one that runs.")
        return await self._ask(lambda: self._done(work))

    def _done(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connected()
        changes = connection.total_changes
        result = work(connection)
        self._changed = self._changed or connection.total_changes != changes
        return result

    async def _ask(self, work: Callable[[], T]) -> T:
        return await self._ask_for(work, asyncio.get_running_loop())

    def _ask_for(self, work: Callable[[], T], loop: asyncio.AbstractEventLoop) -> asyncio.Future[T]:
        answer: asyncio.Future[T] = loop.create_future()
        self._asked.append((work, answer))
        if not self._working:
            self._working = True
            self._hand_over(loop)
        return answer

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        asked, self._asked = self._asked, []
        self._thread.submit(self._work_off, asked, loop)

    def _work_off(self, asked: list[tuple[Work, asyncio.Future[Any]]], loop: asyncio.AbstractEventLoop) -> None:
        self._looked = self._changed = False
        # Once the loop has ended, nobody hears of it any more, and the process waits for this thread to end.
        done = [(answer, *self._outcome(work)) for work, answer in asked if not loop.is_closed()]
        loop.call_soon_threadsafe(self._answer, done, self._changed, loop)

    def _outcome(self, work: Work) -> tuple[Any, BaseException | None]:
        try:
            return work(), None
        except Exception as error:
            return None, failure_of(self.path, error, self._limits.busy_seconds)
        except BaseException as error:
            return None, error

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            if self.read_only:
                self._connection = _look_at(self.path, self._limits)
            else:
                self._connection = _connect(self.path, self._limits, durable=self._durable)
            self._files.note()
        elif self._durable and not self._looked and self._files.are_lost():
            raise self._lost("Nothing of this batch was stored.")
        # What is done together is looked for once.
        self._looked = True
        return self._connection

    def _lost(self, stored: str) -> LogUnavailable:
        return LogUnavailable(
            f"{self.path}: the file, or its journal beside it, was moved, deleted or replaced while in use, or emptied. "
            f"{stored} Stop the service, put the file back or restore it from a backup, and start again."
        )

    def _answer(
        self,
        done: list[tuple[asyncio.Future[Any], Any, BaseException | None]],
        changed: bool,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        if self._asked:
            self._hand_over(loop)
        else:
            self._working = False
        lost = None
        if changed:
            # Looked for here, and not where it was stored: that thread would have to wait once more for its turn. Views that
            # are lost are filled anew by whoever starts next.
            if self._durable and self._files.have_lost():
                lost = self._lost("Whether this batch was stored is not known.")
            if self._tidying is None and not self._closed:
                self._tidying = loop.call_later(_TIDY_SECONDS, self._tidy, loop)
        for answer, result, error in done:
            if answer.done():
                continue
            if failure := error or lost:
                answer.set_exception(failure)
            else:
                answer.set_result(result)

    def _tidy(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give a large journal back to the file system, unless somebody reads in it; then again, a little later."""
        self._tidying = None
        if not self._closed and self._files.journal_bytes() > _LARGE_JOURNAL_BYTES:
            self._tidying = loop.call_later(_TIDY_SECONDS, self._tidy, loop)
            self._ask_for(lambda: self._done(self._truncate_journal), loop).add_done_callback(_forget)

    def _truncate_journal(self, connection: sqlite3.Connection) -> None:
        """Empty the journal, if nobody needs it: writers wait for no more than a moment to find that out."""
        connection.execute(f"PRAGMA busy_timeout = {_TIDY_BUSY_MS}")
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.execute(f"PRAGMA busy_timeout = {self._limits.busy_seconds * 1000:.0f}")

    async def close(self, first: Callable[[sqlite3.Connection], object] = lambda connection: None) -> None:
        """Close the connection and end its thread, once what was asked for is done, and ``first`` is.

        It may wait for as long as others hold the file's lock; who is cancelled meanwhile need not come back.
        """
        if not self._closed:
            self._closed = True
            if self._tidying is not None:
                self._tidying.cancel()
            closing = self._ask_for(lambda: self._close(first), asyncio.get_running_loop())
            closing.add_done_callback(self._end_thread)
            # Whoever gives up waiting leaves the rest to the thread.
            await asyncio.shield(closing)

    def _end_thread(self, closed: asyncio.Future[None]) -> None:
        _forget(closed)
        self._thread.shutdown(wait=False)

    def _close(self, first: Callable[[sqlite3.Connection], object]) -> None:
        if self._connection is not None:
            first(self._connection)
            self._connection.close()
            self._connection = None


def _forget(done: asyncio.Future[None]) -> None:
    """Let go of what became of something that is tried again: whoever comes next meets the same failure."""
    if not done.cancelled():
        done.exception()


def _connect(path: str, limits: SqliteLimits, *, durable: bool) -> sqlite3.Connection:
    if path != MEMORY:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(
        path, timeout=limits.busy_seconds, isolation_level=None, cached_statements=512, check_same_thread=False
    )
    try:
        _use_wal(connection)
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute(f"PRAGMA cache_size = -{limits.cache_bytes >> 10}")
        connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_BYTES}")
        # The first look at the file opens its journal, which is there from then on for as long as this connection is.
        connection.execute("SELECT 1 FROM sqlite_master").fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch the file to a write-ahead log: the first who opens it does, and several may be the first."""
    for _ in range(_TURNS_AT_OPENING):
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
            return
        # SQLite does not wait for the others here, but it does wait for its lock; one that is held too long is said.
        with transaction(connection):
            pass
    connection.execute("PRAGMA journal_mode = WAL")


def _look_at(path: str, limits: SqliteLimits) -> sqlite3.Connection:
    """Connect to a file that is there, such that nothing is written to it and no writer is held up."""
    if not Path(path).exists():
        raise FileNotFoundError("there is no such file")
    uri = f"file:{quote(str(Path(path).absolute()))}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=limits.busy_seconds, isolation_level=None, check_same_thread=False)


def check_prepared(connection: sqlite3.Connection) -> None:
    """Check that a service has made its tables in a file.

    Raises:
        LogUnavailable: none has.
    """
    if connection.execute("PRAGMA user_version").fetchone() == (0,):
        path = connection.execute("PRAGMA database_list").fetchone()[2]
        raise LogUnavailable(f"{path}: no service has been started with this file yet. Is it the one that you mean?")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the file's write lock for a block, and keep all of its effect or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def insert_rows(connection: sqlite3.Connection, statement: str, rows: Sequence[Row]) -> None:
    """Insert rows, many by one statement: the interpreter's lock is let go once for each, not once a row."""
    most = min(_ROWS_PER_STATEMENT, _VALUES_PER_STATEMENT // len(rows[0])) if rows else 1
    for start in range(0, len(rows), most):
        some = rows[start : start + most]
        connection.execute(statement.format(rows=placeholders(some)), list(chain.from_iterable(some)))


def placeholders(rows: Sequence[Sequence[object]]) -> str:
    """Return the placeholders of so many rows.

    >>> placeholders([(1, 2), (3, 4)])
    '(?,?),(?,?)'
    """
    return ",".join(["(" + marks(rows[0]) + ")"] * len(rows))


def marks(values: Iterable[object]) -> str:
    """Return one placeholder per value, separated by commas."""
    return ",".join("?" for _ in values)


def upgrade(connection: sqlite3.Connection, package: str, prefix: str) -> None:
    """Bring a file's schema up to date, one numbered SQL file after the other, each in a transaction of its own.

    A step must leave the file such that processes of the version before can go on, so one version ahead is no error.

    Raises:
        SettingsError: newer code than this has upgraded the file, by more than one version.
    """
    steps = sorted(file.name for file in files(package).iterdir() if file.name.startswith(prefix))
    while True:
        with transaction(connection):
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > len(steps) + 1:
                raise SettingsError(
                    f"{connection.execute('PRAGMA database_list').fetchone()[2]}: its schema is version {version} and "
                    f"this Twofold knows up to {len(steps)}. Install the newer version that has written it."
                )
            if version >= len(steps):
                return
            script = files(package).joinpath(steps[version]).read_text(encoding="utf-8")
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1}")


def _statements(script: str) -> Iterator[str]:
    """Split a script where SQLite says that a statement is complete: its own `executescript` would commit first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
