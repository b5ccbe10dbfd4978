"""The port: a database that holds views' rows beside their followers' places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from twofold.followers import FollowerStore, Settled
from twofold.views.view import Layout


class TableChange(msgspec.Struct, frozen=True):
    """Rows of one table to write, packed, and packed keys of rows to delete."""

    layout: Layout
    puts: list[tuple[Any, ...]]
    deletes: list[Any]


class ViewStore(FollowerStore, Protocol):
    """A database for views. `twofold.testing.ViewConformance` says, by tests, all that an adapter must hold to."""

    async def create(self, layout: Layout) -> None:
        """Create a view's table and indexes unless they are there.

        Raises:
            DeclarationError: the table is there and has other columns.
        """
        ...

    async def load(self, layout: Layout, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the packed rows of those packed keys that have one."""
        ...

    async def apply(self, settled: Settled, changes: Sequence[TableChange], statements: Sequence[Any]) -> None:
        """Write rows, run SQLAlchemy statements and settle the follower's place, in one transaction.

        Whatever goes wrong with the database itself is raised as `twofold.errors.LogUnavailable`, and what is wrong with
        the rows or statements as anything else: then trying again would not help.

        Raises:
            LeaseLost: the segment was given to another owner; nothing was stored.
        """
        ...

    async def select(self, statement: Any) -> list[Any]:
        """Run a SQLAlchemy Core statement that changes nothing, and return its rows."""
        ...

    async def position(self, follower: str) -> int:
        """Return the position up to which every segment of a follower is, 0 if there is none."""
        ...
