"""Filling views anew: the shadow of a table is made, takes the table's place or is given up; and views that go altogether.

Names of shadows are in `twofold.views.shadow`; why it is done like this, in decision 13.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from twofold.clock import microseconds
from twofold.errors import NotNow
from twofold.followers.claiming import LOCK, NEVER, add_follower, find_declared
from twofold.followers.session import Execute, Fetch, Lock, Now, Steps
from twofold.followers.shadow import shadow_follower
from twofold.views.names import index_name
from twofold.views.shadow import shadow_table
from twofold.views.store import Create, HasIndex, Replace, ViewStore
from twofold.views.view import Layout

HELD = "nobody, while a rebuilt one takes over"
"""Who has the segments of a view while it waits for its shadow to pass it."""


async def begin(store: ViewStore, follower: str, layouts: Sequence[Layout]) -> int:
    """Make an empty shadow of each table, and a follower for them with the same segments, at the first event.

    All in one transaction. Return the fence with which these segments begin: it is beyond all that were ever given, and
    the follower's own are beyond it once the shadows have taken over. 0 if a rebuilding is under way already; then
    nothing is changed.
    """
    return await store.run(partial(_begin, follower, tuple(layouts)))


def _begin(follower: str, layouts: Sequence[Layout]) -> Steps[int]:
    shadow = shadow_follower(follower)
    yield Lock(LOCK)
    if (yield Fetch("segments", (shadow,))):
        return 0
    for layout in layouts:
        yield from _create_shadow(layout)
    now: datetime = yield Now()
    yield from add_follower(follower, now)
    # A process that still follows an earlier rebuilding must not come in between. So it is the time, or more.
    fence = max(microseconds(now), 1 + (yield from _highest_fence(follower, shadow)))
    yield Execute("begin_shadow", (shadow, fence, follower))
    return fence


def _create_shadow(layout: Layout) -> Steps[None]:
    """Make a shadow's table. Not every database renames an index, so it takes the names that the table's own do not have."""
    taken = False
    for column in layout.columns:
        taken = taken or (column.indexed and (yield HasIndex(index_name(layout.table, "by", column.name))))
    yield Create(layout, shadow_table(layout.table), "on" if taken else "by")


def _highest_fence(follower: str, shadow: str) -> Steps[int]:
    ((fence,),) = yield Fetch("highest_fence", (follower, shadow))
    return int(fence)


async def take_over(store: ViewStore, follower: str, layouts: Sequence[Layout], hold_seconds: float = 0) -> bool:
    """Put the shadows in the place of the tables, if no key of theirs is behind; say whether none is left to do so.

    If one is, nobody may follow the tables for ``hold_seconds``, so that the shadows can pass what does not move.

    All in one transaction: the tables go, the shadows get their names, the segments and parked events of the shadows'
    follower become the follower's, and whoever followed either of the two loses the claim. It holds up queries for an
    instant or not at all: if one that takes long is in the way, this gives up and can be tried again.
    """
    # Without the locks first: that is asked again and again, and nearly always in vain.
    if not hold_seconds and await store.read(partial(_is_behind, follower)):
        return False
    try:
        return await store.run(partial(_take_over, follower, tuple(layouts), hold_seconds), may_wait=False)
    except NotNow:
        return False


def _is_behind(follower: str) -> Steps[bool]:
    rows = yield Fetch("is_behind", (shadow_follower(follower), follower))
    return bool(rows)


def _take_over(follower: str, layouts: Sequence[Layout], hold_seconds: float) -> Steps[bool]:
    shadow = shadow_follower(follower)
    yield Lock(LOCK)
    # Nobody divides or stores a batch of either of the two from here on.
    locked = yield Fetch("lock_segments", (follower, shadow))
    if shadow not in {name for (name,) in locked}:
        return True
    if (yield from _is_behind(follower)):
        if hold_seconds:
            now: datetime = yield Now()
            yield Execute("hold", (HELD, now + timedelta(seconds=hold_seconds), follower))
        return False
    for layout in layouts:
        yield Replace(layout, shadow_table(layout.table))
    fence = yield from _highest_fence(follower, shadow)
    yield from _drop_follower(follower)
    yield Execute("hand_over_parked", (follower, shadow))
    yield Execute("hand_over_segments", (follower, fence + 1, NEVER, shadow))
    return True


async def drop(store: ViewStore, follower: str, tables: Sequence[str], *, even_if_declared: bool = False) -> bool:
    """Drop tables and all that is kept of their follower, in one transaction; say whether that was done.

    It is not while a process declares the follower, unless told to be, nor while a query that takes long reads them.
    """
    try:
        return await store.run(partial(_drop, follower, tuple(tables), even_if_declared), may_wait=False)
    except NotNow:
        return False


def _drop(follower: str, tables: Sequence[str], even_if_declared: bool) -> Steps[bool]:
    yield Lock(LOCK)
    yield Fetch("segments", (follower,))
    if not even_if_declared and follower in (yield from find_declared()):
        return False
    yield from _drop_follower(follower)
    yield Execute("forget_caught_up", (follower,))
    for table in tables:
        yield Execute("drop_table", table=table)
    return True


def _drop_follower(follower: str) -> Steps[None]:
    yield Execute("drop_segments", (follower,))
    yield Execute("drop_parked", (follower,))


async def rewind(store: ViewStore, follower: str, tables: Sequence[str]) -> None:
    """Empty the tables and let the follower start from the first event, taking the segments from their owners."""
    await store.run(partial(_rewind, follower, tuple(tables)))


def _rewind(follower: str, tables: Sequence[str]) -> Steps[None]:
    # The segments first: that waits for a batch that is being stored, and shuts out the next.
    yield Execute("rewind", (NEVER, follower))
    yield Execute("drop_parked", (follower,))
    for table in tables:
        yield Execute("empty_table", table=table)
