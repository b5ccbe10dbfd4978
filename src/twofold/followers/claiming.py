"""Who follows what: owners say that they are there, and get claims on their share of all segments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from twofold.clock import microseconds
from twofold.followers import division
from twofold.followers.assignment import Assignment, assign
from twofold.followers.model import WHOLE, Claim, Segment
from twofold.followers.session import Ended, Execute, Fetch, Lock, Now, Steps, change_all
from twofold.followers.shadow import shadowed
from twofold.followers.store import FollowerStore

LOCK = "followers"
"""Under this lock segments are made, given, divided and dropped: each who does so sees what the others did."""

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Until when a segment is leased that nobody has."""

_FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)


async def attend(store: FollowerStore, owner: str, followers: Sequence[str], lease_seconds: float) -> list[Claim]:
    """Say that an owner is there and ready to follow these, and return all claims that are its own from now on.

    The leases that it has are made to last from now, it is given its share of the segments that nobody has, and what
    it has beyond its share is taken from it (`twofold.followers.assignment` says what is whose). So it has to say so again
    and again, and to end what it follows by a claim that is not among those returned. A new follower starts at 0.

    Leases are of one length, so another's that ends later than in twice ``lease_seconds`` was given by a clock that was
    wrong: it is not believed, and nor is it that its owner is there. With 0, an owner gives its leases up.
    """
    return await store.run(partial(_attend, owner, tuple(followers), lease_seconds))


def _attend(owner: str, followers: Sequence[str], lease_seconds: float) -> Steps[list[Claim]]:
    yield Lock(LOCK)
    now: datetime = yield Now()
    until = now + timedelta(seconds=lease_seconds)
    ready = yield from _begin(followers, now)
    yield from _note_present(owner, ready, now, until)
    yield from _leave_for_ended()
    for (follower,) in (yield Fetch("merged")):
        yield from _replace_segments(follower, partial(division.merge, follower))
    yield from _reassign(owner, ready, now, until)
    rows = yield Fetch("claims", (owner,))
    return [_claim_of(*row) for row in rows]


def _begin(followers: Sequence[str], now: datetime) -> Steps[list[str]]:
    """Give new followers a segment, and return those that have any: a shadow gets its own when a rebuilding begins."""
    begun = {follower for (follower,) in (yield Fetch("followers"))}
    for follower in followers:
        if follower not in begun and not shadowed(follower):
            yield from add_follower(follower, now)
    return [follower for follower in followers if follower in begun or not shadowed(follower)]


async def begun(store: FollowerStore) -> set[str]:
    """Return the followers that have segments."""
    return {follower for (follower,) in await store.read(partial(_fetched, "followers"))}


def _fetched(statement: str) -> Steps[list[tuple[str]]]:
    rows: list[tuple[str]] = yield Fetch(statement)
    return rows


async def begin(store: FollowerStore, positions: Mapping[str, int]) -> None:
    """Give new followers one segment each, behind the positions that are given by their names; others stay where they are."""

    def steps() -> Steps[None]:
        yield Lock(LOCK)
        now: datetime = yield Now()
        for follower, position in positions.items():
            yield from add_follower(follower, now, position)

    await store.run(steps)


def add_follower(follower: str, now: datetime, position: int = 0) -> Steps[None]:
    """Give a follower one segment, at the first event or behind a position, unless it has some.

    It may have had some before it was dropped, and a process that stood still meanwhile has a claim on those still. So its
    fences begin at the time, and not where they began then.
    """
    yield Execute("add_follower", (follower, WHOLE, position, microseconds(now)))


def _note_present(owner: str, ready: Sequence[str], now: datetime, until: datetime) -> Steps[None]:
    """Note that an owner is there for these followers until a time, and forget who is not there or has a wrong clock."""
    believed_until = until + (until - now) if until > now else _FOR_EVER
    yield Execute("end_leases", (NEVER, believed_until))
    yield from change_all("add_present", [(follower, owner, until) for follower in ready])
    yield Execute("forget_present", (owner, until, now, believed_until))


def _leave_for_ended() -> Steps[None]:
    """Give back what owners have that are gone without having said so."""
    owners = frozenset([owner for (owner,) in (yield Fetch("owners"))])
    for owner in (yield Ended(owners)):
        yield from _leave(owner)


def _reassign(owner: str, ready: Sequence[str], now: datetime, until: datetime) -> Steps[None]:
    """Give an owner its share of what is free, take what it has beyond that, and have its leases last until a time."""
    idle = {(follower, low) for follower, low in (yield Fetch("idle", (owner, now)))}
    rows = yield Fetch("segments_of_all", (owner, now))
    segments = [Assignment(name, Segment(low, high), holder, bool(closed)) for name, low, high, holder, closed in rows]
    present: dict[str, list[str]] = defaultdict(list)
    for follower, other in (yield Fetch("present")):
        present[follower].append(other)
    decided = assign(owner, ready, segments, present)
    yield from change_all("leave", [(NEVER, *place) for place in _places(decided.leave) if place in idle])
    yield from change_all("take", [(owner, *place) for place in _places(decided.take) if place in idle])
    yield from change_all("renew", [(until, owner, *place) for place in idle])


def _places(assignments: Iterable[Assignment]) -> list[tuple[str, int]]:
    return [(each.follower, each.segment.low) for each in assignments]


async def leave(store: FollowerStore, owner: str) -> None:
    """Give back all that an owner has: it is not there any more."""

    def steps() -> Steps[None]:
        yield Lock(LOCK)
        yield from _leave(owner)

    await store.run(steps)


def _leave(owner: str) -> Steps[None]:
    yield Execute("leave_all", (NEVER, owner))
    yield Execute("leave_present", (owner,))


async def release(store: FollowerStore, claim: Claim) -> None:
    """Give a segment back before the lease ends; nothing happens if it is lost already."""

    def steps() -> Steps[None]:
        yield Execute("release", (NEVER, claim.follower, claim.segment.low, claim.fence))

    await store.run(steps)


async def declared(store: FollowerStore) -> set[str]:
    """Return the followers that a process is there for now, whether it follows them or stands by."""
    return await store.read(find_declared)


def find_declared() -> Steps[set[str]]:
    """Return what `declared` does, as a part of a unit."""
    now = yield Now()
    rows = yield Fetch("declared", (now,))
    ended = yield Ended(frozenset([owner for _, owner in rows]))
    return {follower for follower, owner in rows if owner not in ended}


async def split(store: FollowerStore, follower: str, parts: int) -> None:
    """Cut each segment of a follower into so many, in one transaction; whoever follows them loses the claim.

    Raises:
        NotFound: it has none yet.
        NotNow: it is about to be merged, or has parked events that name no key.
    """
    await store.run(partial(_divide, follower, lambda segments: division.split(follower, segments, parts)))


async def merge(store: FollowerStore, follower: str) -> None:
    """Make one segment of all that a follower has: at once if all are at one position, else when the last one is.

    Raises:
        NotFound: it has none yet.
        NotNow: it has parked events that name no key.
    """
    await store.run(partial(_divide, follower, partial(division.merge, follower)))


def _divide(follower: str, divided: Callable[[Sequence[Claim]], list[Claim]]) -> Steps[None]:
    yield Lock(LOCK)
    ((nameless,),) = yield Fetch("nameless", (follower,))
    division.check_named(follower, nameless)
    yield from _replace_segments(follower, divided)


def _replace_segments(follower: str, divided: Callable[[Sequence[Claim]], list[Claim]]) -> Steps[None]:
    rows = yield Fetch("segments", (follower,))
    segments = divided([_claim_of(follower, *row) for row in rows])
    yield Execute("drop_segments", (follower,))
    yield from change_all(
        "add_segment",
        [(follower, s.segment.low, s.segment.high, s.position, s.fence, s.merge_at) for s in segments],
    )


def _claim_of(follower: str, low: int, high: int, position: int, fence: int, merge_at: int) -> Claim:
    return Claim(follower, Segment(low, high), position, fence, merge_at)
