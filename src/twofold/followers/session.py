"""Units of work: what followers keep is read and changed by plain generators, which no adapter has to write again.

A unit yields requests, receives their results and returns what came of it. It awaits nothing, so one and the same unit
runs to its end in one step on a database's own thread (`perform`), and statement by statement on a driver that is awaited
(`perform_awaiting`). An adapter answers the requests by a `Session`, within the transaction that it holds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Generator, Iterable, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar, cast

import msgspec

T = TypeVar("T")


class Session(Protocol):
    """What a unit asks of one connection. Each method returns its result, or an awaitable of it (`perform_awaiting`).

    Statements are named as in ``followers.sql``, which `follower_statements` of `twofold.followers.statements` reads for a
    database.
    A time is given and returned as a datetime in UTC; a database that has no such type keeps seconds since 1970.
    """

    def fetch(self, statement: str, values: Sequence[Any]) -> Any:
        """Run a statement and return its rows, as sequences."""
        ...

    def execute(self, statement: str, values: Sequence[Any], table: str) -> Any:
        """Run a statement, ``{table}`` in it being this table, and return how many rows it has changed."""
        ...

    def execute_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> Any:
        """Run a statement once for each row of values; there is at least one."""
        ...

    def now(self) -> Any:
        """Return the time, by the one clock that all processes have in common: mostly that of the database's server."""
        ...

    def lock(self, name: str) -> Any:
        """Have no other unit that asks for this name come between, until the transaction has ended."""
        ...

    def ended(self, owners: Collection[str]) -> Any:
        """Return the set of those owners that are known to have ended: their leases need not be waited for.

        A database that is used by the processes of one machine only finds out by `twofold.followers.owners.has_ended`.
        Any other knows of none.
        """
        ...


class Request(msgspec.Struct, frozen=True):
    """Something that a unit asks of its session."""

    def ask(self, session: Any) -> Any:
        """Have the session do it, and return the result or an awaitable of it."""
        raise NotImplementedError


class Fetch(Request, frozen=True):
    """Rows of a statement."""

    statement: str
    values: tuple[Any, ...] = ()

    def ask(self, session: Session) -> Any:
        return session.fetch(self.statement, self.values)


class Execute(Request, frozen=True):
    """A statement that changes rows, or a table; the result is how many rows it has changed."""

    statement: str
    values: tuple[Any, ...] = ()
    table: str = ""

    def ask(self, session: Session) -> Any:
        return session.execute(self.statement, self.values, self.table)


class ExecuteMany(Request, frozen=True):
    """A statement that is run once for each row of values."""

    statement: str
    rows: Sequence[tuple[Any, ...]]

    def ask(self, session: Session) -> Any:
        return session.execute_many(self.statement, self.rows)


class Now(Request, frozen=True):
    """The time."""

    def ask(self, session: Session) -> Any:
        return session.now()


class Lock(Request, frozen=True):
    """A lock by name, until the transaction has ended."""

    name: str

    def ask(self, session: Session) -> Any:
        return session.lock(self.name)


class Ended(Request, frozen=True):
    """Those of some owners that are known to have ended."""

    owners: frozenset[str]

    def ask(self, session: Session) -> Any:
        return session.ended(self.owners)


Steps: TypeAlias = Generator[Request, Any, T]
Unit: TypeAlias = Callable[[], Steps[T]]
"""What begins a unit of work, each time anew: a transaction that could not be committed is tried again from the start."""


def change_all(statement: str, rows: Iterable[tuple[Any, ...]]) -> Steps[None]:
    """Run a statement for each row of values, of which there may be none."""
    if some := list(rows):
        yield ExecuteMany(statement, some)


def perform(steps: Steps[T], session: Any) -> T:
    """Run a unit to its end by a session that answers at once, and return its result.

    >>> class Clock:
    ...     def now(self):
    ...         return 5
    >>> def twice():
    ...     return (yield Now()) + (yield Now())
    >>> perform(twice(), Clock())
    10
    """
    result = None
    while True:
        try:
            request = steps.send(result)
        except StopIteration as end:
            return cast("T", end.value)
        result = request.ask(session)


async def perform_awaiting(steps: Steps[T], session: Any) -> T:
    """Run a unit to its end by a session whose answers are awaited, and return its result."""
    result = None
    while True:
        try:
            request = steps.send(result)
        except StopIteration as end:
            return cast("T", end.value)
        answer: Awaitable[Any] = request.ask(session)
        result = await answer
