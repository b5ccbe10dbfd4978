"""Asking: what an answer may read, and how it sees what a command has just done."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import UnionType
from typing import Annotated, Any, ForwardRef, Generic, TypeVar, Union, get_args, get_origin

import msgspec

from twofold.errors import DeclarationError, InvalidMessage, ValueRefused
from twofold.folding import F, annotated, check_reads, check_takes, parameters, role_of
from twofold.messages import Query, source_location, type_flaw, type_hints
from twofold.queries.freshness import AT_ONCE, Freshness
from twofold.queries.versions import AS_DECLARED, ViewVersions
from twofold.views.bounds import key_packing
from twofold.views.store import ViewStore
from twofold.views.view import View, ViewType, layout

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

    Every reading waits until the view that it reads is as fresh as the question needs it. It reads the tables that
    ``versions`` gives: those of the views, or earlier ones while they are being filled. Without any versions, what is there
    is read as it is.
    """

    def __init__(self, store: ViewStore, versions: ViewVersions | None = None, freshness: Freshness = AT_ONCE) -> None:
        self._store = store
        self._versions = versions
        self._freshness = freshness
        self.tables: dict[str, str] = {}
        """The tables of which was read so far, each with the one that was read for it: the same, or an earlier one.

        What a statement has as text could be any table, and is among them as it is; '' stands for a statement without any.
        """

    async def get(self, view: type[V], key: Any) -> V | None:
        """Return the row of a key, or None; a key of several parts is a tuple: ``views.get(Star, (article, user))``.

        Raises:
            DeclarationError: the service does not declare the view.
            TypeError: the key has not the parts that the view's have.
        """
        self._check_filled(view)
        shape = layout(view)
        async with self._read((shape.table,)) as substitutes:
            read = msgspec.structs.replace(shape, table=substitutes[shape.table]) if substitutes else shape
            self.tables[shape.table] = read.table
            try:
                stored = await self._store.load(read, [key_packing(view)(key)])
            except ValueRefused:
                # No database could hold it, so there is no row of it.
                return None
            return shape.unpack(stored[0]) if stored else None

    async def find(
        self, view: type[V], *where: Any, order_by: Any = None, limit: int = 100, after: str = ""
    ) -> Page[V]:
        """Return the rows for which all conditions hold, a page at a time, by a column (``.desc()`` allowed) and the key.

        >>> # page = await views.find(Balance, Balance.c.amount > 100, order_by=Balance.c.amount.desc(), limit=10)

        Raises:
            InvalidMessage: the limit is not from 1 to 10,000, or ``after`` is not of an earlier page.
            DeclarationError: the service does not declare the view.
        """
        self._check_filled(view)
        if not 1 <= limit <= _LARGEST_PAGE:
            raise InvalidMessage(
                f"limit={limit}: ask for 1 to {_LARGEST_PAGE} rows, and for more with after=page.next."
            )
        from twofold.views.conditions import check_conditions
        from twofold.views.paging import cursor_of, page_statement
        from twofold.views.tables import named_tables, named_views

        check_conditions(view, where)
        for each in named_views(*where):
            self._check_filled(each)
        statement = page_statement(view, where, order_by, limit + 1, after)
        stored = await self._select(statement, {layout(view).table} | named_tables(*where))
        make = layout(view).row
        rows = [make(**row._mapping) for row in stored[:limit]]
        return Page(rows, cursor_of(rows[-1], order_by) if len(stored) > limit else "")

    async def select(self, statement: Any) -> list[Any]:
        """Run a SQLAlchemy Core ``select`` over views' columns, for anything that `find` does not say, and return its rows.

        Raises:
            DeclarationError: the service does not declare one of the views.
        """
        from twofold.views.conditions import check_statement, comparable
        from twofold.views.tables import named_tables, named_views

        check_statement(statement)
        statement = comparable(statement)
        for view in named_views(statement):
            self._check_filled(view)
        return await self._select(statement, named_tables(statement) or {""})

    def _check_filled(self, view: type[View]) -> None:
        if not isinstance(view, ViewType):
            raise DeclarationError(f"{source_location(view)} is read as a view, and is none. Give the class of a View.")
        if self._versions is not None and not self._versions.has(layout(view).table):
            raise DeclarationError(
                f"The view {source_location(view)} is read, and the service does not declare it, so that nothing fills it. "
                "Add it to views=[…]."
            )

    async def _select(self, statement: Any, tables: set[str]) -> list[Any]:
        from twofold.views.tables import redirected

        async with self._read(sorted(tables)) as substitutes:
            self.tables.update({table: substitutes.get(table, table) for table in tables})
            return await self._store.select(redirected(statement, substitutes) if substitutes else statement)

    def _read(self, tables: Sequence[str]) -> AbstractAsyncContextManager[Mapping[str, str]]:
        return AS_DECLARED if self._versions is None else self._versions.read(tables, self._freshness)


class Answer(msgspec.Struct, frozen=True):
    """A query's type, the type of what it is answered with, and the function that answers it."""

    query: type[Query[Any]]
    returns: Any
    function: Callable[[Any, Views], Awaitable[Any]]


def answer(function: F) -> F:
    """Mark the function that answers a query: ``async def rich(query: FindRich, views: Views) -> list[Balance]``.

    The answer has to depend on the query and on what is read through the views, and on nothing else: an answer that is cached,
    or watched, is found again when one of those views has changed, and not before. What depends on the time of day, say, takes
    it from a field of the query.
    """
    if not inspect.isfunction(function):
        raise DeclarationError(
            f"@answer stands right before an `async def`, without parentheses; found {source_location(function)}."
        )
    function.__twofold__ = "answer"  # type: ignore[attr-defined]
    return function


def answer_of(function: Callable[..., Any]) -> Answer:
    """Return what a function marked with `answer` declares.

    Raises:
        DeclarationError: it is not marked, or does not return what its query promises.
    """
    if role_of(function) != "answer":
        raise DeclarationError(f"{source_location(function)} is listed among the queries and has no @answer.")
    check_reads(function, "an answer")
    queries = annotated(function, 0, Query)
    if len(queries) > 1 or len(parameters(function)) != 2:
        raise DeclarationError(f"{source_location(function)}: an answer's parameters are one query and the views.")
    check_takes(function, "query", "views")
    second = parameters(function)[1].name
    kind = type_hints(function).get(second)
    if isinstance(kind, type) and not issubclass(Views, kind):
        raise DeclarationError(
            f"{source_location(function)}: annotate its parameter {second!r} with Views; found {kind!r}."
        )
    promised = answer_type(queries[0])
    returned = type_hints(function).get("return", "nothing at all")
    if _plain(returned) != _plain(promised):
        raise DeclarationError(
            f"{source_location(function)} returns {returned!r}, and {queries[0].__name__} asks for {promised!r}. "
            f"Write class {queries[0].__name__}(Query[…]) and -> … with the same type."
        )
    if flaw := type_flaw(promised):
        raise DeclarationError(
            f"{source_location(function)}: the answer to {queries[0].__name__} is told as JSON, too. {flaw}"
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
                return _resolved(base.__args__[0], cls)
    raise DeclarationError(
        f"{source_location(query)}: say what the answer is: class {query.__name__}(Query[list[Balance]])."
    )


def _resolved(answer: Any, query: type) -> Any:
    """Return the type that is meant where it is named in quotes, as one that stands further down has to be."""
    if not isinstance(answer, (str, ForwardRef)):
        return type(None) if answer is None else answer
    promise = type(query.__name__, (), {"__annotations__": {"answer": answer}, "__module__": query.__module__})
    return type_hints(promise)["answer"]


def _plain(hint: Any) -> Any:
    """Return a type in one spelling of several: List[int] is list[int], and Optional[int] is int | None."""
    origin, arguments = get_origin(hint), tuple([_plain(each) for each in get_args(hint)])
    if origin in (Union, UnionType):
        return frozenset(arguments)
    if origin is None or origin is Annotated:
        return hint
    return origin, arguments
