"""The port: a database that holds views' rows beside their followers' places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import msgspec

from twofold.followers import Checkpoint, FollowerStore
from twofold.views.view import Layout


class TableChange(msgspec.Struct, frozen=True):
    """Rows of one table to write, packed, and packed keys of rows to delete."""

    layout: Layout
    puts: list[tuple[Any, ...]]
    deletes: list[Any]


Write: TypeAlias = TableChange | Any
"""Rows to write and delete, or a SQLAlchemy statement to run."""


class ViewStore(FollowerStore, Protocol):
    """A database for views. `twofold.testing.ViewConformance` says, by tests, all that an adapter must hold to."""

    async def create(self, layout: Layout) -> None:
        """Create a view's table and indexes unless they are there.

        Raises:
            DeclarationError: the table is there and has other columns.
        """
        ...

    async def has(self, layout: Layout) -> bool:
        """Say whether there is a table from which rows of this layout can be read: it may have more columns."""
        ...

    async def load(self, layout: Layout, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the packed rows of those packed keys that have one."""
        ...

    async def preview(self, writes: Sequence[Write], layout: Layout, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return what `load` would after these writes, of which nothing is kept.

        Raises as `apply` does.
        """
        ...

    async def apply(self, checkpoint: Checkpoint, writes: Sequence[Write]) -> None:
        """Write rows and run statements, in the order given, and settle the follower's place, in one transaction.

        Raises:
            LogUnavailable: the database itself cannot be used now, or lacks a table or a right.
            ValueRefused: it does not take these rows, statements or parked events, now or later; nothing was stored.
            LeaseLost: the segment was given to another owner; nothing was stored.
        """
        ...

    async def select(self, statement: Any) -> list[Any]:
        """Run a SQLAlchemy Core statement that changes nothing, and return its rows.

        Raises:
            LogUnavailable: the database cannot be used now, or lacks a table or a right.
            ValueRefused: it does not take the statement or a value in it, now or later.
        """
        ...

    async def position(self, follower: str) -> int:
        """Return the position up to which every segment of a follower is, 0 if there is none."""
        ...

    # Rebuilding: see `twofold.views.shadow` for the names.

    async def begin_rebuild(self, follower: str, layouts: Sequence[Layout]) -> int:
        """Make an empty shadow of each table, and a follower for them with the same segments, at the first event.

        All in one transaction. Return the fence with which these segments begin: it is beyond all that were ever given, and
        the follower's own are beyond it once the shadows have taken over. 0 if a rebuilding is under way already; then
        nothing is changed.
        """
        ...

    async def take_over(self, follower: str, layouts: Sequence[Layout], hold_seconds: float = 0) -> bool:
        """Put the shadows in the place of the tables, if no key of theirs is behind; say whether none is left to do so.

        If one is, nobody may follow the tables for ``hold_seconds``, so that the shadows can pass what does not move.

        All in one transaction: the tables go, the shadows get their names, the segments and parked events of the shadows'
        follower become the follower's, and whoever followed either of the two loses the claim. It holds up queries for an
        instant or not at all: if one that takes long is in the way, this gives up and can be tried again.
        """
        ...

    async def drop(self, follower: str, tables: Sequence[str], *, even_if_declared: bool = False) -> bool:
        """Drop tables and all that is kept of their follower, in one transaction; say whether that was done.

        It is not while a process declares the follower, unless told to be, nor while a query that takes long reads them.
        """
        ...

    async def declared(self) -> set[str]:
        """Return the followers that a process is there for now, whether it follows them or stands by."""
        ...

    async def caught_up(self) -> set[str]:
        """Return the followers that have once been where the log ended, so that what they fill is whole."""
        ...

    async def mark_caught_up(self, followers: Sequence[str]) -> None:
        """Take note, for good, that these followers have been where the log ended."""
        ...
