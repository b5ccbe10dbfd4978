"""Names of shadows: the followers that fill views anew."""

from __future__ import annotations

_SUFFIX = ":rebuild"


def shadow_follower(follower: str) -> str:
    """Return the name of the follower that fills the shadows of another one's tables.

    >>> shadow_follower("balance_v1")
    'balance_v1:rebuild'
    """
    return follower + _SUFFIX


def shadowed(follower: str) -> str:
    """Return whose tables a follower fills anew, '' if it is no shadow.

    >>> shadowed("balance_v1:rebuild"), shadowed("balance_v1")
    ('balance_v1', '')
    """
    return follower.removesuffix(_SUFFIX) if follower.endswith(_SUFFIX) else ""
