"""The port: where followers keep their place. `twofold.views.ViewStore` adds the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from twofold.followers.model import Claim, Parked, Progress, Settled


class FollowerStore(Protocol):
    """Checkpoints, claims and parked events, in one database for all followers of a service."""

    async def open(self, *, read_only: bool = False) -> None:
        """Connect, and create or upgrade the schema.

        Read-only, do neither, and write and lock nothing from then on: for looking at a service from outside.

        Raises:
            LogUnavailable: the database cannot be opened or, read-only, holds nothing of a service.
        """
        ...

    async def claim(self, follower: str, owner: str, lease_seconds: float) -> Claim | None:
        """Give the owner a segment that nobody has a lease on, or None if there is none. A new follower starts at 0."""
        ...

    async def renew(self, claim: Claim, lease_seconds: float) -> None:
        """Make a lease last from now.

        Raises:
            LeaseLost: the segment was given to another owner.
        """
        ...

    async def release(self, claim: Claim) -> None:
        """Give a segment back before the lease ends; nothing happens if it is lost already."""
        ...

    async def settle(self, settled: Settled) -> None:
        """Move the checkpoint, park and unpark, in one transaction.

        Raises:
            LeaseLost: the segment was given to another owner; nothing was stored.
        """
        ...

    async def progress(self) -> list[Progress]:
        """Return how far each segment of each follower is."""
        ...

    async def parked(self, follower: str = "", lane: str = "", limit: int = 1000) -> list[Parked]:
        """Return parked events, by follower, key and position, of one follower or key if named."""
        ...

    async def request_retry(self, follower: str, lanes: Sequence[str]) -> int:
        """Ask whoever follows to try the parked events of these keys again, and return how many events that is."""
        ...

    async def take_retries(self, claim: Claim) -> list[str]:
        """Return the keys of the claimed segment for which a retry was asked, and forget the asking.

        Keys of which the event that failed was discarded are among them: what is left had only waited behind it.
        """
        ...

    async def discard(self, follower: str, lane: str, position: int = 0) -> int:
        """Drop one parked event of a key (0: all of them) for good, and return how many that was."""
        ...

    async def rewind(self, follower: str, tables: Sequence[str]) -> None:
        """Empty the tables and let the follower start from the first event, taking the segments from their owners."""
        ...

    async def close(self) -> None:
        """Let go of the database."""
        ...
