"""Who follows what, in a SQLite file: presences, leases, and how segments are divided."""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial

from twofold.adapters.sqlite.database import transaction
from twofold.adapters.statements import load_statements
from twofold.followers import WHOLE, Assignment, Claim, Segment, assign
from twofold.followers.coordinator import here
from twofold.followers.division import check_named, merge
from twofold.views.shadow import shadowed

_SQL = load_statements("twofold.adapters.sqlite", "claims.sql")


def attend(
    owner: str, followers: Sequence[str], now: float, until: float, connection: sqlite3.Connection
) -> list[Claim]:
    """Note that an owner is there, and return its claims: those that it had and keeps, and its assign of what is free."""
    believed_until = 2 * until - now if until > now else math.inf
    with transaction(connection):
        followers = [each for each in followers if not shadowed(each) or _is_begun(each, connection)]
        connection.executemany(_SQL["add_follower"], [(follower, WHOLE, follower) for follower in followers])
        connection.execute(_SQL["end_lease"], (believed_until,))
        connection.execute(_SQL["forget_present"], (owner, now, believed_until))
        connection.executemany(_SQL["add_present"], [(follower, owner, until) for follower in followers])
        for (follower,) in connection.execute(_SQL["merged"]).fetchall():
            _replace_segments(follower, partial(merge, follower), connection)
        decided = assign(owner, followers, _seats(owner, now, connection), _present(connection))
        leaving = [(seat.follower, seat.segment.low) for seat in decided.leave]
        taking = [(owner, seat.follower, seat.segment.low) for seat in decided.take]
        connection.executemany(_SQL["leave"], leaving)
        connection.executemany(_SQL["take"], taking)
        connection.execute(_SQL["renew"], (until, owner))
        return [_claim_of(*row) for row in connection.execute(_SQL["claims"], (owner,))]


def _is_begun(follower: str, connection: sqlite3.Connection) -> bool:
    return bool(connection.execute(_SQL["segments"], (follower,)).fetchall())


def leave(owner: str, connection: sqlite3.Connection) -> None:
    """Give back all that an owner has, and forget that it was there."""
    with transaction(connection):
        connection.execute(_SQL["leave_all"], (owner,))
        connection.execute(_SQL["forget_present"], (owner, 0, math.inf))


def _seats(owner: str, now: float, connection: sqlite3.Connection) -> list[Assignment]:
    rows = connection.execute(_SQL["seats"], (now, owner))
    return [
        Assignment(name, Segment(low, high), "" if _has_ended(holder) else holder, bool(closed))
        for name, low, high, holder, closed in rows
    ]


def _present(connection: sqlite3.Connection) -> dict[str, list[str]]:
    present: dict[str, list[str]] = {}
    for follower, owner in connection.execute(_SQL["present"]):
        if not _has_ended(owner):
            present.setdefault(follower, []).append(owner)
    return present


def declared(now: float, connection: sqlite3.Connection) -> set[str]:
    """Return the followers that a process is there for."""
    rows = connection.execute(_SQL["declared"], (now, now)).fetchall()
    return {follower for follower, owner in rows if not _has_ended(owner)}


def _claim_of(follower: str, low: int, high: int, position: int, fence: int, merge_at: int) -> Claim:
    return Claim(follower, Segment(low, high), position, fence, merge_at)


def divide(follower: str, divided: Callable[[Sequence[Claim]], list[Claim]], connection: sqlite3.Connection) -> None:
    """Replace a follower's segments by others."""
    with transaction(connection):
        check_named(follower, *connection.execute(_SQL["nameless"], (follower,)).fetchone())
        _replace_segments(follower, divided, connection)


def _replace_segments(
    follower: str, divided: Callable[[Sequence[Claim]], list[Claim]], connection: sqlite3.Connection
) -> None:
    found = connection.execute(_SQL["segments"], (follower,)).fetchall()
    segments = divided([_claim_of(follower, *row) for row in found])
    connection.execute(_SQL["drop_segments"], (follower,))
    rows = [(follower, s.segment.low, s.segment.high, s.position, s.fence, s.merge_at) for s in segments]
    connection.executemany(_SQL["add_segment"], rows)


def _has_ended(owner: str) -> bool:
    """Say whether a lease's owner was a process of this machine that is gone: its lease need not be waited for."""
    pid, _, host = owner.rpartition("/")[2].partition("@")
    if host != here() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
