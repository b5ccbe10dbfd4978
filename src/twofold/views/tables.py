"""The views' tables as SQLAlchemy knows them. Only this module and adapters import it, so that commands start without."""

from __future__ import annotations

import functools
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, MetaData, Table, Text
from sqlalchemy.sql.operators import is_, is_not
from sqlalchemy.types import TypeDecorator, TypeEngine

from twofold.errors import DeclarationError
from twofold.views.view import Column as ViewColumn
from twofold.views.view import Layout, layout

_TYPES: dict[type, type[TypeEngine[Any]]] = {int: BigInteger, float: Float, bool: Boolean, str: Text}


class Packed(TypeDecorator[Any]):
    """A value that is stored as text: users' statements give and get the value itself."""

    impl = Text
    cache_ok = True

    def __init__(self, column: ViewColumn) -> None:
        super().__init__()
        self.column = column

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return value if value is None or self.column.pack is None else self.column.pack(value)

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return value if value is None or self.column.unpack is None else self.column.unpack(value)

    class Comparator(TypeDecorator.Comparator[Any]):
        """Refuses what the database would answer wrongly."""

        def operate(self, op: Any, *other: Any, **options: Any) -> Any:
            if op not in (is_, is_not):
                check_ordered(self.type.column)  # type: ignore[attr-defined]
            return super().operate(op, *other, **options)

    comparator_factory = Comparator


def check_ordered(column: ViewColumn) -> None:
    """Check that the database can compare a column.

    Raises:
        DeclarationError: it cannot.
    """
    if not column.ordered:
        raise DeclarationError(
            f"{column.name} is a Decimal, which is stored as text to be exact, and SQL would compare and order that as "
            "text. For conditions, order and sums keep an int of the smallest unit, such as cents."
        )


def table_of(view: Any) -> Table:
    """Return a view's table, with an index for each field that is marked with `twofold.Index`."""
    return _table(layout(view))


@functools.cache
def _table(shape: Layout) -> Table:
    columns: list[Any] = []
    for position, each in enumerate(shape.columns):
        stored = Packed(each) if each.kind is str and each.pack else _TYPES[each.kind]()
        columns.append(
            Column(each.name, stored, primary_key=position == 0, nullable=each.nullable, autoincrement=False)
        )
    table = Table(shape.table, MetaData(), *columns)
    for each in shape.columns:
        if each.indexed:
            Index(f"{shape.table}_by_{each.name}", table.c[each.name])
    return table
