"""Shadows: what a view is filled into anew, beside its table, while that one answers."""

from __future__ import annotations

import msgspec

from twofold.views.view import Layout

HELD = "nobody, while a rebuilt one takes over"
"""Who has the segments of a view while it waits for its shadow to pass it."""

_FOLLOWER = ":rebuild"
_TABLE = "__rebuild"
_LONGEST_NAME = 63


def shadow_follower(follower: str) -> str:
    """Return the name of the follower that fills the shadows of another one's tables.

    >>> shadow_follower("balance_v1")
    'balance_v1:rebuild'
    """
    return follower + _FOLLOWER


def shadowed(follower: str) -> str:
    """Return whose tables a follower fills anew, '' if it is no shadow.

    >>> shadowed("balance_v1:rebuild"), shadowed("balance_v1")
    ('balance_v1', '')
    """
    return follower.removesuffix(_FOLLOWER) if follower.endswith(_FOLLOWER) else ""


def shadow_table(table: str) -> str:
    """Return the name of a table's shadow; it is cut to what PostgreSQL takes as a name.

    >>> shadow_table("balance_v1")
    'balance_v1__rebuild'
    """
    return table[: _LONGEST_NAME - len(_TABLE)] + _TABLE


def shadow_layout(shape: Layout) -> Layout:
    """Return the layout of a view's shadow."""
    return msgspec.structs.replace(shape, table=shadow_table(shape.table))
