"""Columns in users' statements: they give and get the fields' values, and refuse what the database would answer wrongly."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import chain
from typing import Any

from sqlalchemy import (
    BigInteger,
    BinaryExpression,
    Boolean,
    Case,
    Float,
    FunctionFilter,
    Integer,
    Over,
    Select,
    Text,
    Tuple,
    UpdateBase,
    cast,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import (
    ClauseElement,
    ClauseList,
    ExpressionClauseList,
    Grouping,
    Null,
    _textual_label_reference,
)
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import (
    concat_op,
    contains_op,
    endswith_op,
    icontains_op,
    iendswith_op,
    ilike_op,
    is_,
    is_comparison,
    is_not,
    istartswith_op,
    like_op,
    match_op,
    not_contains_op,
    not_endswith_op,
    not_ilike_op,
    not_like_op,
    not_startswith_op,
    regexp_match_op,
    startswith_op,
)
from sqlalchemy.sql.selectable import GenerativeSelect
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

from twofold.errors import DeclarationError, InvalidMessage
from twofold.views.view import Column, layout

_TYPES: dict[type, TypeEngine[Any]] = {int: BigInteger(), float: Float(), bool: Boolean(), str: Text()}
_ARITHMETIC = {
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.neg,
}
_PATTERNS = {
    *(like_op, not_like_op, ilike_op, not_ilike_op),
    *(startswith_op, not_startswith_op, endswith_op, not_endswith_op, contains_op, not_contains_op),
}
_ADDING = {"sum", "avg"}
# They return one of what they are given.
_CHOOSING = {"coalesce", "nullif", "ifnull", "greatest", "least", "min", "max"}
# They look into a text.
_OF_TEXTS = _PATTERNS | {concat_op, icontains_op, iendswith_op, istartswith_op, match_op, regexp_match_op}


class Checked(TypeDecorator[Any]):
    """A column's type that takes only values which its field could have."""

    impl = Text
    cache_ok = True

    def __init__(self, column: Column) -> None:
        super().__init__()
        self.column = column
        impl: Any = _TYPES[column.kind]
        self.impl = impl
        self.comparator_factory = _comparator(impl.comparator_factory)

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        if op in _ARITHMETIC and self.column.packing.unpack is None:
            return self.impl_instance.coerce_compared_value(op, value)
        return self

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return None if value is None else self.column.pack(value)


class Packed(Checked):
    """The type of a column in which something else than the value is stored."""

    cache_ok = True

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return self.column.unpack(value)


@compiles(Checked, "postgresql")
def _column_type(sql_type: Checked, compiler: Any, **options: Any) -> str:
    """Return a column's type as its table says it.

    Text is ordered by code points, as in Python and SQLite, and not as in the language of the database.
    """
    plain: str = compiler.visit_type_decorator(sql_type, **options)
    return f'{plain} COLLATE "C"' if sql_type.column.kind is str else plain


def sql_type(column: Column) -> TypeEngine[Any]:
    """Return a column's type as SQLAlchemy knows it."""
    if column.kind is bool:
        return Boolean()
    return Checked(column) if column.packing.unpack is None else Packed(column)


@functools.cache
def _comparator(of_type: Any) -> Any:
    """Return what makes conditions and sums of columns, as those of the type do that is stored."""

    class Comparator(TypeDecorator.Comparator[Any], of_type):  # type: ignore[misc]
        """Refuses what the database would answer wrongly."""

        type: Any

        def operate(self, op: Any, *others: Any, **options: Any) -> Any:
            _check_operands(self.type.column, op, others)
            if op in _PATTERNS and not options.get("escape"):
                # It is what PostgreSQL takes if nothing is said; SQLite takes none then.
                options["escape"] = "\\"
            return super().operate(op, *others, **options)

        def reverse_operate(self, op: Any, other: Any, **options: Any) -> Any:
            _check_operands(self.type.column, op, (other,))
            return super().reverse_operate(op, other, **options)

    return Comparator


def _check_operands(column: Column, op: Any, others: tuple[Any, ...]) -> None:
    """Check what a column is compared with.

    Raises:
        DeclarationError: the database cannot compare the column, or not with that.
        InvalidMessage: it is a value of the right type that no database takes.
    """
    if op in (is_, is_not):
        return
    if op in _ARITHMETIC:
        _check_counted(column)
        return
    check_compared(column)
    if op in _OF_TEXTS and column.packing.like is not str:
        raise DeclarationError(
            f"{column.name} is no text, and SQL would look into what it is stored as. Compare the whole value, or keep a str "
            "to look into."
        )
    for other in _flat(others):
        if hasattr(other, "__clause_element__"):
            _check_other_column(column, getattr(other.__clause_element__(), "type", None))
        elif isinstance(other, ClauseElement):
            _check_other_column(column, getattr(other, "type", None))
        elif other is not None:
            _check_value(column, other)


def _check_counted(column: Column) -> None:
    if column.packing.unpack is not None:
        raise DeclarationError(
            f"SQL would calculate with what {column.name} is stored as, and not with its values. Calculate with the values: "
            "the bound before it is compared, or the rows when they have been found."
        )


def _flat(others: Any) -> Iterator[Any]:
    for other in others:
        if isinstance(other, (list, tuple, set, frozenset)):
            yield from _flat(other)
        else:
            yield other


def _check_other_column(column: Column, other: Any) -> None:
    if not isinstance(other, Checked):
        return
    check_compared(other.column)
    if other.column.packing.like != column.packing.like:
        raise DeclarationError(
            f"{column.name} is compared with {other.column.name}, which has values of another type. Compare fields of one "
            "type."
        )


def _check_value(column: Column, value: Any) -> None:
    try:
        column.pack(value)
    except TypeError as error:
        raise DeclarationError(
            f"{column.name} is compared with what it cannot be: {error}. Compare it with a value of its own type."
        ) from error
    except ValueError as error:
        raise InvalidMessage(f"{column.name} is compared with what it cannot be: {error}.") from error


def check_compared(column: Column) -> None:
    """Check that the database can compare a column.

    Raises:
        DeclarationError: it cannot.
    """
    if column.packing.refusal:
        raise DeclarationError(f"{column.name} {column.packing.refusal}.")


def check_statement(*parts: Any) -> None:
    """Check what parts of a query order, group, compare and add up, and that they write nothing.

    Raises:
        DeclarationError: it is what the database cannot compare, or not add; or it writes.
    """
    for element in chain.from_iterable(map(visitors.iterate, parts)):
        for column in _columns(_ordered_by(element)):
            check_compared(column)
        if isinstance(element, FunctionElement):
            _check_function(element)
        elif isinstance(element, BinaryExpression) and _is_comparing(element.operator):
            _check_alike([element.left, element.right])
        elif isinstance(element, Case):
            _check_alike([*[value for _, value in element.whens], element.else_])
        elif isinstance(element, UpdateBase):
            raise DeclarationError(
                f"A query only reads, and this would write: {element}. What views hold comes from events: write it in an "
                "@evolve, or in a projection by rows.execute(…)."
            )


def check_conditions(view: Any, conditions: Iterable[Any]) -> None:
    """Check the conditions that a view's rows are found by.

    Raises:
        DeclarationError: one is no condition of SQL, or one that the database would answer wrongly.
    """
    for each in conditions:
        if not isinstance(each, ClauseElement):
            raise DeclarationError(
                f"{each!r:.60} is no condition that {view.__name__} can be found by. Write one of its columns, as in "
                f"{view.__name__}.c.{layout(view).columns[0].name} == …"
            )
    check_statement(*conditions)


def comparable(statement: Any) -> Any:
    """Return a query such that every database answers it alike: PostgreSQL adds whole numbers up to a `numeric`.

    A sum of them is a whole number of 64 bits, and an average is a float.
    """
    is_adding = any(isinstance(each, FunctionElement) and each.name in _ADDING for each in visitors.iterate(statement))
    return visitors.replacement_traverse(statement, {}, _as_everywhere) if is_adding else statement


def _as_everywhere(element: Any, **_: Any) -> Any:
    function = element.element if isinstance(element, Over) else element
    function = function.func if isinstance(function, FunctionFilter) else function
    if not isinstance(function, FunctionElement) or function.name not in _ADDING:
        return None
    (added,) = function.clauses
    if added.type._type_affinity is not Integer:
        return None
    return (
        type_coerce(cast(element, Float), Float())
        if function.name == "avg"
        else type_coerce(cast(element, BigInteger), added.type)
    )


def _check_alike(parts: Iterable[Any]) -> None:
    """Check that beside a column in which something else than its values is stored, there is only what is stored alike."""
    there = list(_flattened(parts))
    for column in _columns(there):
        if column.packing.unpack is not None:
            for other in there:
                _check_stored_alike(column, other)


def _check_stored_alike(column: Column, other: Any) -> None:
    kind = getattr(other, "type", None)
    if isinstance(kind, Checked):
        _check_other_column(column, kind)
    elif kind is not None and not isinstance(other, Null) and not _is_untyped(other, kind):
        raise DeclarationError(
            f"{column.name} is compared or combined with {getattr(other, 'value', other)}, which SQL does not have in the "
            f"form in which {column.name} is stored. Compare the column with a value itself, as in {column.name} < value; "
            f"elsewhere write literal(value, View.c.{column.name}.type)."
        )


def _is_comparing(op: Any) -> bool:
    return is_comparison(op) and op not in (is_, is_not)


def _is_untyped(part: Any, kind: Any) -> bool:
    """Say whether what a part of a statement is, is not known: text, or a parameter that is still to come."""
    return isinstance(kind, NullType) and not isinstance(part, FunctionElement) and getattr(part, "value", None) is None


def _flattened(parts: Iterable[Any]) -> Iterator[Any]:
    for part in parts:
        if isinstance(part, (ClauseList, ExpressionClauseList)):
            yield from _flattened(part.clauses)
        elif isinstance(part, Grouping):
            yield from _flattened([part.element])
        elif part is not None:
            yield part


def _ordered_by(element: Any) -> Iterator[Any]:
    """Yield what a part of a statement orders or groups by, or compares as one."""
    if isinstance(element, GenerativeSelect):
        selected = element.selected_columns
        for clause in (*element._order_by_clauses, *element._group_by_clauses):
            # What is ordered by may be the name of what is selected.
            yield selected.get(str(clause.element), clause) if isinstance(clause, _textual_label_reference) else clause
        if isinstance(element, Select) and element._distinct:
            yield from selected
    elif isinstance(element, Over):
        yield from chain.from_iterable(
            each.clauses for each in (element.order_by, element.partition_by) if each is not None
        )
    elif isinstance(element, Tuple):
        yield from element.clauses


def _check_function(function: Any) -> None:
    if function.name in _CHOOSING:
        _check_alike(function.clauses)
    if function.name in ("min", "max", "sum", "avg"):
        for each in function.clauses:
            if isinstance(getattr(each, "type", None), Boolean):
                raise DeclarationError(
                    f"{function.name} of {each}: PostgreSQL has none of truths. Count the rows for which it holds: "
                    f"func.count().filter({each})."
                )
    for column in _columns(function.clauses):
        if function.name in ("min", "max"):
            check_compared(column)
        elif function.name in ("sum", "avg", "total"):
            _check_added(function, column)


def _check_added(function: Any, column: Column) -> None:
    if column.kind not in (int, float):
        raise DeclarationError(
            f"{function.name} of {column.name}: SQL cannot add what is stored as text. Keep an int or a float to add up."
        )
    if column.packing.unpack is not None and (column.packing.like is not timedelta or function.name != "sum"):
        raise DeclarationError(
            f"{function.name} of {column.name}: what SQL makes of that is no value of the field. Keep an int or a float to "
            "add up; of durations divide the sum by the count."
        )


def _columns(clauses: Iterable[Any]) -> Iterator[Column]:
    """Yield the views' columns among clauses, by whatever name."""
    for clause in clauses:
        if isinstance(getattr(clause, "type", None), Checked):
            yield clause.type.column
