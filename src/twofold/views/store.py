"""The port: a database that holds views' rows beside their followers' checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import msgspec

from twofold.followers import Checkpoint, FollowerStore
from twofold.followers.session import Request, Session
from twofold.views.view import Layout


class TableChange(msgspec.Struct, frozen=True):
    """Rows of one table to write, packed, and packed keys of rows to delete."""

    layout: Layout
    puts: list[tuple[Any, ...]]
    deletes: list[Any]


Write: TypeAlias = TableChange | Any
"""Rows to write and delete, or a SQLAlchemy statement to run."""


class ViewStore(FollowerStore, Protocol):
    """A database for views. `twofold.testing.ViewConformance` says, by tests, all that an adapter must hold to.

    An adapter has the reading and writing of rows, which has to be fast, natively. All else it does by running units of work
    (`run`, `read`), for which it has a `TableSession`.
    """

    @property
    def name(self) -> str:
        """What the database is called where people read of it, without what is secret in its URL."""
        ...

    async def load(self, layout: Layout, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the packed rows of those packed keys that have one."""
        ...

    async def select(self, statement: Any) -> list[Any]:
        """Run a SQLAlchemy Core statement that changes nothing, and return its rows.

        Raises:
            LogUnavailable: the database cannot be used now, or lacks a table or a right.
            ValueRefused: it does not take the statement or a value in it, now or later.
        """
        ...

    async def preview(self, writes: Sequence[Write], layout: Layout, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return what `load` would after these writes, of which nothing is kept.

        Raises as `commit` does.
        """
        ...

    async def commit(self, checkpoint: Checkpoint, writes: Sequence[Write] = ()) -> None:
        """Write rows and run statements, in the order given, and move the follower's checkpoint, in one transaction.

        Raises:
            LogUnavailable: the database itself cannot be used now, or lacks a table or a right.
            ValueRefused: it does not take these rows, statements or parked events, now or later; nothing was stored.
            LeaseLost: the segment was given to another owner; nothing was stored.
        """
        ...


class TableSession(Session, Protocol):
    """What units of work about views' tables ask of a connection, besides."""

    def columns(self, layout: Layout) -> Any:
        """Return two lists: the columns that a layout's table has, none if there is no table, and those that it should have.

        Each column as its name and its type, with ``NOT NULL`` behind if it may not be missing, and ``KEY`` if it is of the
        primary key; see `twofold.views.schema.described`.
        """
        ...

    def create(self, layout: Layout, table: str, word: str) -> Any:
        """Make a layout's table under a name, and its indexes with a word in theirs: `twofold.views.schema.definitions`."""
        ...

    def has_index(self, name: str) -> Any:
        """Say whether there is an index of this name."""
        ...

    def replace(self, layout: Layout, table: str) -> Any:
        """Drop a layout's table, and give its name to another one, with whatever others were granted on it."""
        ...


class Columns(Request, frozen=True):
    """The columns that a layout's table has, and those that it should have."""

    layout: Layout

    def ask(self, session: TableSession) -> Any:
        return session.columns(self.layout)


class Create(Request, frozen=True):
    """A table of a layout, under a name, with a word in the names of its indexes."""

    layout: Layout
    table: str
    word: str = "by"

    def ask(self, session: TableSession) -> Any:
        return session.create(self.layout, self.table, self.word)


class HasIndex(Request, frozen=True):
    """Whether there is an index of a name."""

    name: str

    def ask(self, session: TableSession) -> Any:
        return session.has_index(self.name)


class Replace(Request, frozen=True):
    """A table in the place of a layout's own."""

    layout: Layout
    table: str

    def ask(self, session: TableSession) -> Any:
        return session.replace(self.layout, self.table)
