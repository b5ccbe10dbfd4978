"""Pages by keyset: the next page starts after the last row, however many rows came or went before it."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Select, and_, or_, select
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.sql.operators import desc_op

from twofold.errors import InvalidMessage
from twofold.messages import encode
from twofold.views.tables import table_of
from twofold.views.view import layout


def page_statement(view: Any, where: tuple[Any, ...], order_by: Any, limit: int, after: str) -> Select[Any]:
    """Return the statement for a page of a view."""
    table = table_of(view)
    column, descending = _order(order_by)
    statement = select(table).where(*where)
    if after:
        key, value = _read_cursor(view, column, after)
        beyond_key = table.c.key > key
        if column is not None:
            beyond = column < value if descending else column > value
            statement = statement.where(or_(beyond, and_(column == value, beyond_key)))
        else:
            statement = statement.where(beyond_key)
    order = [] if column is None else [column.desc() if descending else column.asc()]
    return statement.order_by(*order, table.c.key).limit(limit)


def cursor_of(row: Any, order_by: Any) -> str:
    """Return the text that stands for a row's place in its order."""
    column, _ = _order(order_by)
    shape = layout(row.__class__)
    packed = dict(zip([each.name for each in shape.columns], shape.pack(row), strict=True))
    return encode([packed["key"], None if column is None else packed[column.name]]).hex()


def _order(order_by: Any) -> tuple[Any, bool]:
    if isinstance(order_by, UnaryExpression):
        return order_by.element, order_by.modifier is desc_op
    return order_by, False


def _read_cursor(view: Any, column: Any, after: str) -> tuple[Any, Any]:
    """Return the key and the ordering value of the row after which the page starts, as the columns compare them."""
    try:
        key, value = msgspec.json.decode(bytes.fromhex(after), type=tuple[Any, Any])
    except (ValueError, msgspec.DecodeError) as error:
        raise InvalidMessage(
            f"after={after!r} is not from a page of this query. Pass an earlier page's `next`."
        ) from error
    by_name = {each.name: each for each in layout(view).columns}
    return _unpacked(by_name["key"], key), None if column is None else _unpacked(by_name[column.name], value)


def _unpacked(column: Any, value: Any) -> Any:
    return value if column.unpack is None or value is None else column.unpack(value)
