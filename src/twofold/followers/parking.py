"""Parked events: what followers have set aside, listed, retried and discarded."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from twofold.followers.model import Claim, Parked
from twofold.followers.session import Execute, Fetch, Steps, change_all
from twofold.followers.store import FollowerStore

_ALL = (1 << 63) - 1


async def parked(store: FollowerStore, follower: str = "", key: str = "", limit: int = _ALL) -> list[Parked]:
    """Return parked events, by follower, key and position: of one follower or key if named, and no more than the limit."""
    return await store.read(partial(_parked, follower, key, limit))


def _parked(follower: str, key: str, limit: int) -> Steps[list[Parked]]:
    rows = yield Fetch("parked", (follower, key, limit))
    return [Parked(*row) for row in rows]


async def parked_keys(store: FollowerStore, follower: str) -> dict[str, int]:
    """Return the keys of which a follower has parked something, each with how many events that is."""
    return await store.read(partial(_parked_keys, follower))


def _parked_keys(follower: str) -> Steps[dict[str, int]]:
    return dict((yield Fetch("parked_keys", (follower,))))


async def oldest_parked(store: FollowerStore) -> list[tuple[str, int, int]]:
    """Return each follower that has parked something: of how many keys, and since when, in microseconds since 1970."""
    return await store.read(_oldest_parked)


def _oldest_parked() -> Steps[list[tuple[str, int, int]]]:
    rows = yield Fetch("oldest_parked", ())
    return [(follower, keys, since_us) for follower, keys, since_us in rows]


async def request_retry(store: FollowerStore, follower: str, keys: Sequence[str]) -> int:
    """Ask whoever follows to try the parked events of these keys again, and return how many events that is."""
    return await store.run(partial(_request_retry, follower, tuple(keys)))


def _request_retry(follower: str, keys: Sequence[str]) -> Steps[int]:
    counts = yield from _parked_keys(follower)
    # In one order, whoever asks: two who ask for the same keys would otherwise wait for each other's rows.
    asked = sorted(counts.keys() & set(keys))
    yield from change_all("request_retry", [(follower, key) for key in asked])
    return sum(counts[key] for key in asked)


async def due_retries(store: FollowerStore, claim: Claim, now_us: int) -> list[str]:
    """Return the keys of the claimed segment for which a retry was asked or is due; they are until it has come to an end.

    Keys of which the event that failed was discarded are among them: what is left had only waited behind it.
    """
    return await store.read(partial(_retries, claim, now_us))


def _retries(claim: Claim, now_us: int) -> Steps[list[str]]:
    rows = yield Fetch("retries", (claim.follower, now_us))
    return [key for (key,) in rows if claim.segment.owns(key)]


async def discard(store: FollowerStore, follower: str, key: str, position: int = 0) -> int:
    """Drop one parked event of a key (0: all of them) for good, and return how many that was."""
    return await store.run(partial(_discard, follower, key, position))


def _discard(follower: str, key: str, position: int) -> Steps[int]:
    count: int = yield Execute("discard", (follower, key, position))
    return count
