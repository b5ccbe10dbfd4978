"""Shadows: what a view is filled into anew, beside its table, while that one answers."""

from __future__ import annotations

from hashlib import sha256

import msgspec

from twofold.views.view import Layout

_TABLE = "__rebuild"
_LONGEST_NAME_BYTES = 63
_DIGEST = 8


def shadow_table(table: str) -> str:
    """Return the name of a table's shadow.

    >>> shadow_table("balance_v1")
    'balance_v1__rebuild'
    """
    return fitted(table, _TABLE)


def fitted(name: str, suffix: str = "") -> str:
    """Return a name as PostgreSQL takes it: of one that is too long the beginning, and what tells it from all others.

    >>> fitted("short", "__rebuild"), fitted("x" * 60, "__rebuild")
    ('short__rebuild', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx_42f2d973__rebuild')
    """
    room = _LONGEST_NAME_BYTES - len(suffix)
    if len(name.encode()) <= room:
        return name + suffix
    digest = sha256(name.encode()).hexdigest()[:_DIGEST]
    return f"{name.encode()[: room - _DIGEST - 1].decode(errors='ignore')}_{digest}{suffix}"


def shadow_layout(shape: Layout) -> Layout:
    """Return the layout of a view's shadow."""
    return msgspec.structs.replace(shape, table=shadow_table(shape.table))
