"""The port: where followers keep their place. `twofold.views.ViewStore` adds the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from twofold.followers.model import Checkpoint, Claim, Parked, Progress, Standing


class FollowerStore(Protocol):
    """Checkpoints, claims and parked events, in one database for all followers of a service."""

    async def open(self, *, read_only: bool = False) -> None:
        """Connect, and create or upgrade the schema.

        Read-only, do neither, and write and lock nothing from then on: for looking at a service from outside.

        Raises:
            LogUnavailable: the database cannot be opened or, read-only, holds nothing of a service.
        """
        ...

    async def attend(self, owner: str, followers: Sequence[str], lease_seconds: float) -> list[Claim]:
        """Say that an owner is there and ready to follow these, and return all claims that are its own from now on.

        The leases that it has are made to last from now, it is given its share of the segments that nobody has, and what
        it has beyond its share is taken from it (`twofold.followers.assignment` says what is whose). So it has to say so again
        and again, and to end what it follows by a claim that is not among those returned. A new follower starts at 0.

        Leases are of one length, so another's that ends later than in twice ``lease_seconds`` was given by a clock that was
        wrong: it is not believed, and nor is it that its owner is there. With 0, an owner gives its leases up.
        """
        ...

    async def leave(self, owner: str) -> None:
        """Give back all that an owner has: it is not there any more."""
        ...

    async def release(self, claim: Claim) -> None:
        """Give a segment back before the lease ends; nothing happens if it is lost already."""
        ...

    async def split(self, follower: str, parts: int) -> None:
        """Cut each segment of a follower into so many, in one transaction; whoever follows them loses the claim.

        Raises:
            NotFound: it has none yet.
            NotNow: it is about to be merged, or has parked events that name no key.
        """
        ...

    async def merge(self, follower: str) -> None:
        """Make one segment of all that a follower has: at once if all are at one position, else when the last one is.

        Raises:
            NotFound: it has none yet.
            NotNow: it has parked events that name no key.
        """
        ...

    async def settle(self, checkpoint: Checkpoint) -> None:
        """Move the checkpoint, park and unpark, in one transaction.

        Raises:
            LeaseLost: the segment was given to another owner; nothing was stored.
        """
        ...

    async def progress(self) -> list[Progress]:
        """Return how far each segment of each follower is."""
        ...

    async def standings(self) -> dict[str, Standing]:
        """Return where each follower stands, from one statement: asked often, it has to be cheap."""
        ...

    async def parked(self, follower: str = "", key: str = "", limit: int = 1000) -> list[Parked]:
        """Return parked events, by follower, key and position, of one follower or key if named."""
        ...

    async def request_retry(self, follower: str, keys: Sequence[str]) -> int:
        """Ask whoever follows to try the parked events of these keys again, and return how many events that is."""
        ...

    async def take_retries(self, claim: Claim) -> list[str]:
        """Return the keys of the claimed segment for which a retry was asked, and forget the asking.

        Keys of which the event that failed was discarded are among them: what is left had only waited behind it.
        """
        ...

    async def discard(self, follower: str, key: str, position: int = 0) -> int:
        """Drop one parked event of a key (0: all of them) for good, and return how many that was."""
        ...

    async def rewind(self, follower: str, tables: Sequence[str]) -> None:
        """Empty the tables and let the follower start from the first event, taking the segments from their owners."""
        ...

    async def close(self) -> None:
        """Let go of the database."""
        ...
