"""Projections: functions of an event and a transaction, for views that one fold per row cannot express."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec

from twofold.errors import DeclarationError
from twofold.folding import annotated, check_reads, check_takes, parameters
from twofold.messages import Event, check_version, source_location, type_hints
from twofold.views.transaction import Transaction
from twofold.views.view import View, table_name


class Projection(msgspec.Struct, frozen=True):
    """A function that writes rows of some views for each event of some types."""

    name: str
    views: tuple[type[View], ...]
    events: dict[str, type[Event]]
    function: Callable[[Any, Any], Awaitable[None]]


def project(*views: type[View], version: int = 1) -> Callable[[Callable[..., Awaitable[None]]], Projection]:
    """Declare an async function of (event, transaction) as the one writer of some views.

    The parameter's annotation says which events it gets; they come in order, each once. A new version starts from the
    first event.

    >>> from typing import Annotated
    >>> from twofold import Event, Tag
    >>> from twofold.views import Transaction, View
    >>> class Units(View, key=Annotated[str, Tag("sku")]):
    ...     quantity: int = 0
    >>> class Counted(Event):
    ...     quantities: dict[str, int]
    >>> @project(Units)
    ... async def counted(event: Counted, rows: Transaction) -> None:
    ...     for sku, quantity in event.quantities.items():
    ...         rows.put(Units(key=sku, quantity=quantity))
    >>> counted.name
    'counted_v1'

    Raises:
        DeclarationError: no view is named, or the function is not async or not annotated.
    """
    for each in views:
        if not (isinstance(each, type) and issubclass(each, View)) or views.count(each) > 1:
            raise DeclarationError(
                f"@project(…) takes the classes of the views that are written, each once, as in @project(Units); found "
                f"{source_location(each)}."
            )

    def declare(function: Callable[..., Awaitable[None]]) -> Projection:
        if not views:
            raise DeclarationError(
                f"{source_location(function)}: name the views that it writes, as in @project(Units)."
            )
        check_version(version, partial(source_location, function))
        check_reads(function, "a projection")
        check_takes(function, "event", "rows")
        second = parameters(function)[1].name
        kind = type_hints(function).get(second)
        if isinstance(kind, type) and not issubclass(Transaction, kind):
            raise DeclarationError(
                f"{source_location(function)}: annotate its parameter {second!r} with Transaction, which it writes by; found "
                f"{kind!r}."
            )
        events = {event.message_name: event for event in annotated(function, 0, Event)}
        return Projection(f"{function.__name__}_v{version}", views, events, function)

    return declare


def tables(projection: Projection) -> tuple[str, ...]:
    """Return the names of the tables that a projection writes."""
    return tuple(table_name(view) for view in projection.views)
