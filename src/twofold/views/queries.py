"""Asking: what an answer may read, and how it sees what a command has just done."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Generic, TypeVar

import msgspec

from twofold.errors import DeclarationError, InvalidMessage
from twofold.fold import F, annotated, parameters, place
from twofold.messages import Query, type_hints
from twofold.views.store import ViewStore
from twofold.views.view import View, layout

V = TypeVar("V", bound=View)

_LARGEST_PAGE = 10_000


class Page(msgspec.Struct, Generic[V], frozen=True):
    """Some rows of a view in order, and what to pass as ``after`` to get the following ones ('' at the end)."""

    rows: list[V]
    next: str = ""

    def __iter__(self) -> Iterator[V]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


class Views:
    """Read access to a service's views, for answers.

    Every reading waits until the view that it reads has got as far as the receipts that the question came with.
    """

    def __init__(self, store: ViewStore, ready: Callable[[str], Awaitable[None]]) -> None:
        self._store = store
        self._ready = ready
        self.tables: set[str] = set()
        """What was read so far; '' stands for what a statement has as text, which could be any table."""

    async def get(self, view: type[V], key: Any) -> V | None:
        """Return the row of a key, or None."""
        shape = layout(view)
        await self._reads(shape.table)
        stored = await self._store.load(shape, [shape.pack_key(key)])
        return shape.unpack(stored[0]) if stored else None

    async def find(
        self, view: type[V], *where: Any, order_by: Any = None, limit: int = 100, after: str = ""
    ) -> Page[V]:
        """Return the rows for which all conditions hold, a page at a time, by a column (``.desc()`` allowed) and the key.

        >>> # page = await views.find(Balance, Balance.c.amount > 100, order_by=Balance.c.amount.desc(), limit=10)

        Raises:
            InvalidMessage: the limit is not from 1 to 10,000, or ``after`` is not of an earlier page.
        """
        if not 1 <= limit <= _LARGEST_PAGE:
            raise InvalidMessage(
                f"limit={limit}: ask for 1 to {_LARGEST_PAGE} rows, and for more with after=page.next."
            )
        from twofold.views.paging import cursor_of, page_statement

        await self._reads(layout(view).table, *_tables_of(*where))
        statement = page_statement(view, where, order_by, limit + 1, after)
        stored = await self._store.select(statement)
        rows = [view(**row._mapping) for row in stored[:limit]]
        return Page(rows, cursor_of(rows[-1], order_by) if len(stored) > limit else "")

    async def select(self, statement: Any) -> list[Any]:
        """Run a SQLAlchemy Core ``select`` over views' columns, for anything that `find` does not say, and return its rows."""
        await self._reads(*_tables_of(statement) or ("",))
        return await self._store.select(statement)

    async def _reads(self, *tables: str) -> None:
        for table in tables:
            self.tables.add(table)
            await self._ready(table)


def _tables_of(*elements: Any) -> list[str]:
    """Return the names of the tables in parts of a statement; text is ''."""
    from sqlalchemy.sql import visitors

    names: dict[str, None] = {}
    for element in elements:
        for part in visitors.iterate(element):
            # A condition has columns and not their table.
            named: Any = getattr(part, "table", None) if part.__visit_name__ == "column" else part
            if named is not None and named.__visit_name__ == "table":
                names[named.name] = None
            elif part.__visit_name__ == "textclause":
                names[""] = None
    return list(names)


class Answer(msgspec.Struct, frozen=True):
    """A query's type, the type of what it is answered with, and the function that answers it."""

    query: type[Query[Any]]
    returns: Any
    function: Callable[[Any, Views], Awaitable[Any]]


def answer(function: F) -> F:
    """Mark the function that answers a query: ``async def rich(query: FindRich, views: Views) -> list[Balance]``."""
    function.__twofold__ = "answer"  # type: ignore[attr-defined]
    return function


def answer_of(function: Callable[..., Any]) -> Answer:
    """Return what a function marked with `answer` declares.

    Raises:
        DeclarationError: it is not marked, or does not return what its query promises.
    """
    if getattr(function, "__twofold__", None) != "answer":
        raise DeclarationError(f"{place(function)} is listed among the queries and has no @answer.")
    if not inspect.iscoroutinefunction(function):
        raise DeclarationError(f"{place(function)}: an answer is an async function, as it reads from a database.")
    queries = annotated(function, 0, Query)
    if len(queries) > 1 or len(parameters(function)) != 2:
        raise DeclarationError(f"{place(function)}: an answer's parameters are one query and the views.")
    promised = answer_type(queries[0])
    returned = type_hints(function).get("return")
    if returned != promised:
        raise DeclarationError(
            f"{place(function)} returns {returned!r}, and {queries[0].__name__} asks for {promised!r}. "
            f"Write class {queries[0].__name__}(Query[…]) and -> … with the same type."
        )
    return Answer(queries[0], promised, function)


def answer_type(query: type[Query[Any]]) -> Any:
    """Return the type that a query is answered with.

    >>> class BalanceOf(Query[int]):
    ...     account: str
    >>> answer_type(BalanceOf)
    <class 'int'>

    Raises:
        DeclarationError: the class says none.
    """
    for cls in query.__mro__:
        for base in getattr(cls, "__orig_bases__", ()):
            if getattr(base, "__origin__", None) is Query:
                return base.__args__[0]
    raise DeclarationError(
        f"{query.__module__}.{query.__qualname__}: say what the answer is: class {query.__name__}(Query[list[Balance]])."
    )
