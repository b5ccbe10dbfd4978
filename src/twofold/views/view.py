"""Views: one row per key, folded from events, in a real SQL table."""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Callable, Iterator
from datetime import datetime, time
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from twofold.errors import DeclarationError
from twofold.folding import State, StateType, alternatives, state_parts
from twofold.messages import Key, Part, named_type, type_hints, unmarked
from twofold.views.packing import Packing, packing_of

if TYPE_CHECKING:
    from sqlalchemy import ColumnCollection


class Index:
    """Marks a view's field that rows are looked up by: ``owner: Annotated[str, Index]``."""


class ViewType(StateType):
    """The metaclass of views."""

    takes_composite_keys = True

    @property
    def c(cls) -> ColumnCollection[str, Any]:
        """The columns of the view's table, for conditions: ``Balance.c.amount > 100``."""
        from twofold.views.tables import table_of

        return table_of(cls).c


class View(State, metaclass=ViewType):
    """A row of a view. Evolving to None deletes the row.

    Its key is one identity, or several that name a row together: ``key=(ArticleId, UserId)``. Then ``row.key`` is a tuple,
    and each part is a column of its own, called as its tag is. A changed shape or meaning needs ``version=`` one higher:
    that makes a new table, filled from the first event.

    >>> from typing import Self
    >>> from twofold import Event, Tag, evolve, replace
    >>> AccountId = Annotated[str, Tag("account")]
    >>> class Deposited(Event):
    ...     account: AccountId
    ...     amount: int
    >>> class Balance(View, key=AccountId):
    ...     amount: int = 0
    ...     @evolve
    ...     def deposited(self, event: Deposited) -> Self:
    ...         return replace(self, amount=self.amount + event.amount)
    >>> layout(Balance).table
    'balance_v1'
    """


class Column(msgspec.Struct, frozen=True):
    """A field as the database has it: see `Packing` for what is stored, and by what it can be compared.

    ``pack`` turns the field's value into that, or raises a TypeError or ValueError.
    """

    name: str
    indexed: bool
    nullable: bool
    packing: Packing
    pack: Callable[[Any], Any]

    @property
    def kind(self) -> type:
        """What is stored: int, float, bool or str."""
        return self.packing.kind

    @property
    def normalize(self) -> Callable[[Any], Any] | None:
        """What makes a value what it would be if it were stored and read; see `Packing`."""
        normalize = self.packing.normalize
        return partial(_or_none, normalize) if normalize and self.nullable else normalize

    def unpack(self, stored: Any) -> Any:
        """Turn what the database stores into the field's value."""
        unpack = self.packing.unpack
        return stored if unpack is None or stored is None else unpack(stored)


class Layout(msgspec.Struct, frozen=True):
    """A view's table: its name, and its columns with those of the key first, a column for each part.

    ``row`` makes a row object of the columns' values by name. ``composite`` is the key if it has several parts.
    """

    view: type[Any]
    table: str
    columns: tuple[Column, ...]
    row: Callable[..., Any]
    composite: Key | None = None

    @property
    def key_columns(self) -> tuple[Column, ...]:
        """The columns by which a row is found: the table's primary key."""
        return self.columns[: len(self.composite.parts) if self.composite else 1]

    def unpack(self, stored: Any) -> Any:
        """Turn what the database stores into a row object."""
        values = {}
        for column, value in zip(self.columns, stored, strict=True):
            unpack = column.packing.unpack
            values[column.name] = value if unpack is None or value is None else unpack(value)
        return self.row(**values)


@functools.cache
def layout(view: type[Any]) -> Layout:
    """Return how a view is stored.

    Raises:
        DeclarationError: it has no key, or a field is of a type that has no JSON.
    """
    parts = state_parts(view)
    try:
        columns = (*_key_columns(parts), *_field_columns(view))
    except TypeError as error:
        raise DeclarationError(
            f"{view.__module__}.{view.__qualname__} has a field that cannot be stored: {error}."
        ) from error
    if len(parts) == 1:
        return Layout(view, table_name(view), columns, view)
    key = Key(parts)
    return Layout(view, table_name(view), columns, partial(_row, view, key.names), key)


def _row(view: Any, names: tuple[str, ...], **values: Any) -> Any:
    return view(key=tuple([values.pop(name) for name in names]), **values)


def _key_columns(parts: tuple[Part, ...]) -> Iterator[Column]:
    """Yield a column for each part of a key. The primary key begins with the first, and an index with each further one."""
    if len(parts) == 1:
        yield _column("key", parts[0].annotation, msgspec.NODEFAULT)
        return
    for number, part in enumerate(parts):
        column = _column(part.name, part.annotation, msgspec.NODEFAULT)
        yield msgspec.structs.replace(column, indexed=column.indexed or number > 0)


def _field_columns(view: Any) -> Iterator[Column]:
    hints = type_hints(view)
    for field in msgspec.structs.fields(view):
        if field.name != "key":
            yield _column(field.name, hints[field.name], field.default)


def table_name(view: Any) -> str:
    """Return the table of a view at its version: ``BestCustomers``, version 2, is in ``best_customers_v2``."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", view.__name__).lower()
    return f"{snake}_v{view.state_version}"


def _column(name: str, hint: Any, default: Any) -> Column:
    marks = list(_marks(hint))
    plain = unmarked(hint)
    options = alternatives(plain)
    kinds = [option for option in options if option is not type(None)]
    if len(kinds) == 1 and len(options) > 1:
        marks += _marks(kinds[0])
        plain = unmarked(kinds[0])
    nullable = len(kinds) < len(options) or (get_origin(plain) is Literal and None in get_args(plain))
    indexed = any(mark is Index or isinstance(mark, Index) for mark in marks)
    moment = default if isinstance(default, (datetime, time)) else None
    packing = packing_of(plain, marks, moment)
    return Column(name, indexed, nullable, packing, partial(_or_none, packing.pack) if nullable else packing.pack)


def _or_none(made: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else made(value)


def _marks(hint: Any) -> Iterator[Any]:
    """Yield what a type and the members of a union are annotated with."""
    hint = named_type(getattr(hint, "__supertype__", hint))
    if get_origin(hint) is Annotated:
        yield from hint.__metadata__
        yield from _marks(get_args(hint)[0])
    elif get_origin(hint) in (Union, types.UnionType):
        for option in get_args(hint):
            yield from _marks(option)
