"""The names of the followers that carry events between services."""

from __future__ import annotations

RELAY = "relay"
_INBOX = "inbox:"


def inbox_name(source: str) -> str:
    """Return the name of the follower that records what a source publishes.

    >>> inbox_name("sales")
    'inbox:sales'
    """
    return f"{_INBOX}{source}"


def source_of(follower: str) -> str:
    """Return the source whose events a follower records, '' if it is no inbox.

    >>> source_of("inbox:sales"), source_of("relay")
    ('sales', '')
    """
    return follower.removeprefix(_INBOX) if follower.startswith(_INBOX) else ""


def carries_events(follower: str) -> bool:
    """Say whether a follower carries events between services, and so fills no view.

    >>> carries_events("inbox:sales"), carries_events("relay"), carries_events("balance_v1")
    (True, True, False)
    """
    return follower == RELAY or follower.startswith(_INBOX)
