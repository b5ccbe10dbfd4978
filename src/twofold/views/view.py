"""Views: one row per key, folded from events, in a real SQL table."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin
from uuid import UUID

import msgspec

from twofold.folding import State, StateType, alternatives
from twofold.messages import decoder, encode, type_hints

if TYPE_CHECKING:
    from sqlalchemy import ColumnCollection


class Index:
    """Marks a view's field that rows are looked up by: ``owner: Annotated[str, Index]``."""


class ViewType(StateType):
    """The metaclass of views."""

    @property
    def c(cls) -> ColumnCollection[str, Any]:
        """The columns of the view's table, for conditions: ``Balance.c.amount > 100``."""
        from twofold.views.tables import table_of

        return table_of(cls).c


class View(State, metaclass=ViewType):
    """A row of a view. Evolving to None deletes the row.

    A changed shape or meaning needs ``version=`` one higher: that makes a new table, filled from the first event.

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
    """A field as the database has it. ``kind`` is what is stored: int, float, bool or str.

    ``pack`` and ``unpack`` turn the field's value into that and back; None means that it is stored as it is. ``ordered``
    says whether what is stored compares as the value does.
    """

    name: str
    kind: type
    indexed: bool
    nullable: bool
    pack: Callable[[Any], Any] | None = None
    unpack: Callable[[Any], Any] | None = None
    ordered: bool = True


class Layout(msgspec.Struct, frozen=True):
    """A view's table: its name, and its columns with the key first."""

    view: type[Any]
    table: str
    columns: tuple[Column, ...]

    def pack(self, row: Any) -> tuple[Any, ...]:
        """Turn a row object into what the database stores."""
        return tuple([_packed(column, getattr(row, column.name)) for column in self.columns])

    def pack_key(self, key: Any) -> Any:
        """Turn a key into what the database stores."""
        return _packed(self.columns[0], key)

    def unpack(self, stored: Any) -> Any:
        """Turn what the database stores into a row object."""
        values = {}
        for column, value in zip(self.columns, stored, strict=True):
            values[column.name] = value if column.unpack is None or value is None else column.unpack(value)
        return self.view(**values)


def _packed(column: Column, value: Any) -> Any:
    return value if column.pack is None or value is None else column.pack(value)


@functools.cache
def layout(view: type[Any]) -> Layout:
    """Return how a view is stored."""
    hints = type_hints(view)
    columns = tuple(_column(name, hints[name]) for name in _field_names(view))
    return Layout(view, table_name(view), columns)


def _field_names(view: Any) -> Iterator[str]:
    yield "key"
    for field in msgspec.structs.fields(view):
        if field.name != "key":
            yield field.name


def table_name(view: Any) -> str:
    """Return the table of a view at its version: ``BestCustomers``, version 2, is in ``best_customers_v2``."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", view.__name__).lower()
    return f"{snake}_v{view.state_version}"


def _column(name: str, hint: Any) -> Column:
    plain, indexed = _plain(hint)
    options = [_plain(option) for option in alternatives(plain)]
    kinds = [kind for kind, _ in options if kind is not type(None)]
    nullable = len(kinds) < len(options)
    indexed = indexed or any(marked for _, marked in options)
    kind = kinds[0] if len(kinds) == 1 else plain
    if kind is bool:
        return Column(name, bool, indexed, nullable, int, bool)
    if kind in (int, float, str):
        return Column(name, kind, indexed, nullable)
    if isinstance(kind, type) and issubclass(kind, (Decimal, datetime, date, time, UUID, Enum)):
        unpack = functools.partial(_from_text, kind)
        return Column(name, str, indexed, nullable, _to_text, unpack, ordered=not issubclass(kind, Decimal))
    return Column(name, str, indexed, nullable, _to_json, decoder(kind).decode)


def _plain(hint: Any) -> tuple[Any, bool]:
    """Return a type without its annotations, and whether it is marked as an index."""
    if get_origin(hint) is not Annotated:
        return getattr(hint, "__supertype__", hint), False
    kind, indexed = _plain(get_args(hint)[0])
    return kind, indexed or any(extra is Index or isinstance(extra, Index) for extra in hint.__metadata__)


def _to_text(value: Any) -> str:
    """Return the value as text that sorts as it does: times of day have six decimals, and are UTC if they have a zone."""
    if isinstance(value, datetime):
        utc = value if value.tzinfo is None else value.astimezone(UTC)
        return utc.isoformat(timespec="microseconds")
    if isinstance(value, time):
        return value.isoformat(timespec="microseconds")
    return str(msgspec.to_builtins(value))


def _from_text(kind: Any, text: str) -> Any:
    return msgspec.convert(text, kind, strict=False)


def _to_json(value: Any) -> str:
    return encode(value).decode()
