"""The port: where followers keep their checkpoints. `twofold.views.ViewStore` adds the tables."""

from __future__ import annotations

from typing import Protocol, TypeVar

from twofold.followers.model import Checkpoint
from twofold.followers.session import Unit

T = TypeVar("T")


class FollowerStore(Protocol):
    """Checkpoints, claims and parked events, in one database for all followers of a service.

    What is kept, and how it changes, is written once for all databases, in units of work: see `claiming`, `checkpoints` and
    `parking` beside this module. A store runs them.
    """

    async def open(self, *, read_only: bool = False) -> None:
        """Connect, and create or upgrade the schema.

        Read-only, do neither, and write and lock nothing from then on: for looking at a service from outside.

        Raises:
            LogUnavailable: the database cannot be opened or, read-only, holds nothing of a service.
        """
        ...

    async def run(self, unit: Unit[T], *, may_wait: bool = True) -> T:
        """Run a unit of work in one transaction, and return its result; what it raises leaves everything as it was.

        It waits for others only where they have locked what it asks for, and never in a queue of batches or queries. One that
        may not wait is given up if it would have to for longer than an instant.

        Raises:
            LogUnavailable: the database cannot be used now.
            NotNow: it may not wait, and would have to.
        """
        ...

    async def read(self, unit: Unit[T]) -> T:
        """Run a unit of work that changes nothing, beside whatever is written: it takes no lock, and needs no transaction.

        Raises:
            LogUnavailable: the database cannot be used now.
        """
        ...

    async def commit(self, checkpoint: Checkpoint) -> None:
        """Do what `twofold.followers.checkpoints.advance` says, in one transaction.

        Raises:
            LeaseLost: the segment was given to another owner; nothing was stored.
            LogUnavailable: the database cannot be used now.
        """
        ...

    async def close(self) -> None:
        """Let go of the database."""
        ...
