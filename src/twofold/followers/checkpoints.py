"""How far followers are: checkpoints, and who has once been where the log ended."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from twofold.errors import LeaseLost
from twofold.followers.model import Checkpoint, Progress, Segment, Standing
from twofold.followers.model import standings as standings_of
from twofold.followers.session import Execute, Fetch, Now, Steps, change_all
from twofold.followers.store import FollowerStore


def advance(checkpoint: Checkpoint) -> Steps[None]:
    """Move a follower's checkpoint, park and unpark: what every `commit` does, in the transaction of its writes.

    Raises:
        LeaseLost: the segment was given to another owner; nothing may be stored.
    """
    claim = checkpoint.claim
    changed = yield Execute("advance", (checkpoint.position, claim.follower, claim.segment.low, claim.fence))
    if changed != 1:
        raise LeaseLost(f"{claim.follower} is followed by another process, or was rewound, since this one claimed it.")
    parked = [
        (p.follower, p.key, p.position, p.error, p.attempts, p.parked_at_us, p.retry_at_us) for p in checkpoint.parked
    ]
    yield from change_all("park", parked)
    yield from change_all("unpark", [(claim.follower, key, position) for key, position in checkpoint.unparked])


async def position(store: FollowerStore, follower: str) -> int:
    """Return the position up to which every segment of a follower is, 0 if there is none."""
    return await store.read(partial(_position, follower))


def _position(follower: str) -> Steps[int]:
    ((reached,),) = yield Fetch("position", (follower,))
    return int(reached)


async def progress(store: FollowerStore) -> list[Progress]:
    """Return how far each segment of each follower is."""
    return await store.read(_progress)


def _progress() -> Steps[list[Progress]]:
    now = yield Now()
    rows = yield Fetch("progress", (now,))
    return [Progress(name, Segment(low, high), *rest) for name, low, high, *rest in rows]


async def standings(store: FollowerStore) -> dict[str, Standing]:
    """Return where each follower stands, from one statement: asked often, it has to be cheap."""
    return await store.read(_standings)


def _standings() -> Steps[dict[str, Standing]]:
    rows = yield Fetch("standings")
    return standings_of(rows)


async def caught_up(store: FollowerStore) -> set[str]:
    """Return the followers that have once been where the log ended, so that what they fill is whole."""
    return await store.read(_caught_up)


def _caught_up() -> Steps[set[str]]:
    return {follower for (follower,) in (yield Fetch("caught_up"))}


async def mark_caught_up(store: FollowerStore, followers: Sequence[str]) -> None:
    """Take note, for good, that these followers have been where the log ended."""
    await store.run(partial(change_all, "mark_caught_up", [(follower,) for follower in followers]))
