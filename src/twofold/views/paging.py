"""Pages by keyset: the next page starts after the last row, however many rows came or went before it."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, and_, false, literal, or_, select, tuple_
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.sql.operators import asc_op, desc_op

from twofold.errors import DeclarationError, InvalidMessage
from twofold.messages import encode
from twofold.views.bounds import key_packing
from twofold.views.conditions import check_compared
from twofold.views.tables import table_of
from twofold.views.view import Column, layout


class Order(msgspec.Struct, frozen=True):
    """By which of a view's columns pages are ordered, before the key decides; None: by the key alone."""

    column: Column | None = None
    descending: bool = False


def page_statement(view: Any, where: tuple[Any, ...], order_by: Any, limit: int, after: str) -> Select[Any]:
    """Return the statement for a page of a view.

    Raises:
        InvalidMessage: ``after`` is not of an earlier page of this query.
        DeclarationError: ``order_by`` is not a column of the view, or one that SQL cannot order.
    """
    table = table_of(view)
    order = order_of(view, order_by)
    statement = select(table).where(*where)
    if after:
        statement = statement.where(_beyond(table, order, *_read_cursor(view, order, after)))
    return statement.order_by(*_terms(table, order)).limit(limit)


def order_of(view: Any, order_by: Any) -> Order:
    """Read what a query's ``order_by`` says: a column of the view, perhaps with ``.asc()`` or ``.desc()``."""
    if order_by is None:
        return Order()
    named, descending = order_by, False
    if isinstance(order_by, UnaryExpression) and order_by.modifier in (asc_op, desc_op):
        named, descending = order_by.element, order_by.modifier is desc_op
    for column in layout(view).columns:
        if named is table_of(view).c[column.name]:
            check_compared(column)
            return Order(column, descending)
    raise DeclarationError(
        f"order_by={order_by} is not a column of {view.__name__}. Write order_by={view.__name__}.c.amount or "
        f"{view.__name__}.c.amount.desc(); for any other order use views.select(…)."
    )


def _terms(table: Any, order: Order) -> list[Any]:
    """Return how to order. Databases disagree on where a missing value belongs; here it is less than all others."""
    key = [*table.primary_key]
    if order.column is None:
        return key
    column = table.c[order.column.name]
    rest = [part for part in key if part is not column]
    term = column.desc() if order.descending else column.asc()
    if not order.column.nullable:
        return [term, *rest]
    return [term.nulls_last() if order.descending else term.nulls_first(), *rest]


def _beyond(table: Any, order: Order, key: tuple[Any, ...], value: Any) -> ColumnElement[bool]:
    """Return the condition for the rows after one with this key, a value for each part, and this ordering value."""
    parts = dict(zip(table.primary_key, key, strict=True))
    if order.column is None:
        return _later(parts)
    column = table.c[order.column.name]
    if column in parts and not order.descending:
        return _later({column: value, **parts})
    if value is None:
        later, same = false() if order.descending else column.is_not(None), column.is_(None)
    else:
        bound = literal(value, column.type)
        later, same = or_(column < bound, column.is_(None)) if order.descending else column > bound, column == bound
    return or_(later, and_(same, _later(parts)))


def _later(parts: dict[Any, Any]) -> ColumnElement[bool]:
    """Return the condition that columns, taken together in their order, are beyond their values."""
    bounds = [literal(value, column.type) for column, value in parts.items()]
    if len(bounds) == 1:
        return next(iter(parts)) > bounds[0]  # type: ignore[no-any-return]
    return tuple_(*parts) > tuple_(*bounds)


def cursor_of(row: Any, order_by: Any) -> str:
    """Return the text that stands for a row's place in its order."""
    view: Any = type(row)
    order = order_of(view, order_by)
    value = None if order.column is None else order.column.pack(getattr(row, order.column.name))
    # JSON knows no infinity.
    return encode([key_packing(view)(row.key), repr(value) if isinstance(value, float) else value]).hex()


def _read_cursor(view: Any, order: Order, after: str) -> tuple[tuple[Any, ...], Any]:
    """Return the key's parts and the ordering value of the row after which the page starts, as the columns compare them."""
    shape = layout(view)
    try:
        key, value = msgspec.json.decode(bytes.fromhex(after), type=tuple[Any, Any])
        parts = msgspec.convert(key, list[Any]) if shape.composite else [key]
        unpacked = (
            tuple([_unpacked(column, part) for column, part in zip(shape.key_columns, parts, strict=True)]),
            _unpacked(order.column, value),
        )
    except (TypeError, ValueError) as error:
        raise InvalidMessage(
            f"after={after!r} is not from a page of this query. Pass an earlier page's `next`."
        ) from error
    return unpacked


def _unpacked(column: Column | None, value: Any) -> Any:
    """Return a stored value as the column compares it.

    Raises:
        ValueError: it is not one that the column may have.
    """
    if column is None or value is None:
        if value is not None or (column is not None and not column.nullable):
            raise ValueError("a value where there is no column, or none where there is one")
        return None
    checked: Any = msgspec.convert(value, _IN_CURSORS[column.kind])
    unpacked = column.unpack(float(checked) if column.kind is float else checked)
    column.pack(unpacked)
    return unpacked


_IN_CURSORS = {int: int, bool: int, float: str, str: str}
