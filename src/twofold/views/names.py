"""Names of tables, columns and indexes that every database takes, so that a service may change its URLs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from twofold.errors import DeclarationError
from twofold.views.shadow import fitted, shadow_table
from twofold.views.view import Layout

LONGEST_NAME_BYTES = 63
"""As PostgreSQL has it; what is longer is cut there, and two names may become one."""

# Of a page of PostgreSQL, which a row has to fit in: a long text is kept elsewhere, and takes as much as a pointer to that.
_ROW_BYTES = 8_000
_TEXT_BYTES = 26
_VALUE_BYTES = 8
_OF_POSTGRESQL = {"ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"}


def check_layouts(shapes: Iterable[Layout]) -> None:
    """Check that every database can have the views' tables, together.

    Raises:
        DeclarationError: one cannot; the text names the view and says what to do.
    """
    owners: dict[str, str] = {}
    for shape in shapes:
        _check_table(shape)
        _check_columns(shape)
        for name in _names(shape):
            other = owners.setdefault(name, shape.view.__name__)
            if other != shape.view.__name__:
                raise DeclarationError(
                    f"The views {other} and {shape.view.__name__} would both have a table or an index {name}. Give one of "
                    "them another name."
                )


def _check_table(shape: Layout) -> None:
    name = shape.view.__name__
    if not name.isidentifier():
        raise DeclarationError(f"The view {name!r} is not named as a class is, and its table {shape.table} cannot be.")
    if shape.table.startswith("sqlite_"):
        raise DeclarationError(
            f"{_where(shape)}: SQLite keeps names that begin with sqlite_ for itself, and {name} would be "
            f"in {shape.table}. Give the view another name."
        )
    if len(shape.table.encode()) > LONGEST_NAME_BYTES:
        raise DeclarationError(
            f"{_where(shape)}: the table {shape.table} of {name} has a name of "
            f"{len(shape.table.encode())} bytes, and PostgreSQL takes {LONGEST_NAME_BYTES}. Give the view a shorter name."
        )


def _where(shape: Layout) -> str:
    return f"{shape.view.__module__}.{shape.view.__qualname__}"


def _check_columns(shape: Layout) -> None:
    where = _where(shape)
    seen: dict[str, str] = {}
    for column in shape.columns:
        what = "part" if shape.composite and column in shape.key_columns else "field"
        field = f"{where}: the {what} {column.name} of {shape.view.__name__}"
        if len(column.name.encode()) > LONGEST_NAME_BYTES:
            raise DeclarationError(
                f"{field} has a name of {len(column.name.encode())} bytes, and PostgreSQL takes {LONGEST_NAME_BYTES} for "
                "a column. Give it a shorter name."
            )
        if column.name.lower() in _OF_POSTGRESQL:
            raise DeclarationError(
                f"{field} is called as a column that PostgreSQL has in each table. Give it another name."
            )
        other = seen.setdefault(column.name.lower(), column.name)
        if other != column.name:
            raise DeclarationError(
                f"{field} differs from {other} by upper and lower case alone, which is no difference to SQLite. Give it "
                "another name."
            )
    if sum(_TEXT_BYTES if column.kind is str else _VALUE_BYTES for column in shape.columns) > _ROW_BYTES:
        raise DeclarationError(
            f"{where}: {shape.view.__name__} has {len(shape.columns)} fields, for which a row of PostgreSQL has no room. "
            "Keep some of them together in a field that is a struct or a dict."
        )


def _names(shape: Layout) -> list[str]:
    indexed = [column.name for column in shape.columns if column.indexed]
    indexes = [index_name(shape.table, word, column) for word in ("by", "on") for column in indexed]
    return [shape.table, shadow_table(shape.table), *indexes]


def index_name(table: str, word: str, column: str) -> str:
    """Return the name of the index on a table's column.

    >>> index_name("count_v1", "by", "number")
    'count_v1_by_number'
    """
    return fitted(f"{table}_{word}_{column}")


def earlier_versions(table: str, names: Iterable[str]) -> list[str]:
    """Return those of some names that are earlier versions of a view's table, the newest first.

    >>> earlier_versions("balance_v3", ["balance_v1", "balance_v2", "balance_v3", "balance_v4", "balances_v1", "relay"])
    ['balance_v2', 'balance_v1']
    """
    base = table.rpartition("_v")[0]
    versions = {each: _version(each) for each in names if re.fullmatch(re.escape(base) + r"_v\d+", each)}
    earlier = [each for each, version in versions.items() if version < _version(table)]
    return sorted(earlier, key=versions.__getitem__, reverse=True)


def _version(table: str) -> int:
    return int(table.rpartition("_v")[2])
