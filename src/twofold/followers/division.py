"""Splitting and merging: into which segments a follower's keys are divided."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from twofold.errors import NotFound, NotNow
from twofold.followers.model import Claim, Segment


def split(follower: str, segments: Sequence[Claim], parts: int) -> list[Claim]:
    """Return what is left of a follower's segments when each is cut into so many: each part goes on where the whole was.

    >>> whole = Claim("orders", Segment(0, 8), position=5, fence=1)
    >>> [(each.segment.low, each.segment.high, each.position, each.fence) for each in split("orders", [whole], 2)]
    [(0, 4, 5, 2), (4, 8, 5, 2)]

    Raises:
        NotFound: there is none.
        NotNow: they are about to be merged.
    """
    _check_begun(follower, segments)
    if any(each.merge_at for each in segments):
        raise NotNow(f"{follower} is about to be merged into one segment. Wait until it is, and split it then.")
    return [part for each in segments for part in _parts(each, parts)]


def _parts(whole: Claim, parts: int) -> list[Claim]:
    low, width = whole.segment.low, whole.segment.width
    cuts = [low + width * n // parts for n in range(parts + 1)]
    return [
        Claim(whole.follower, Segment(start, end), whole.position, whole.fence + 1)
        for start, end in pairwise(cuts)
        if start < end
    ]


def merge(follower: str, segments: Sequence[Claim]) -> list[Claim]:
    """Return what is left of a follower's segments when they are merged.

    That is one, if all are at the same position. Otherwise they are to go on to the position of the foremost, and wait
    there for each other: what one of them has done already, nobody may do again.

    >>> halves = [Claim("orders", Segment(0, 1 << 31), 5, 1), Claim("orders", Segment(1 << 31, 1 << 32), 7, 1)]
    >>> [(each.position, each.merge_at) for each in merge("orders", halves)]
    [(5, 7), (7, 7)]

    Raises:
        NotFound: there is none.
    """
    _check_begun(follower, segments)
    fence = 1 + max(each.fence for each in segments)
    foremost = max(each.position for each in segments)
    if all(each.position == foremost for each in segments):
        return [Claim(follower, Segment(), foremost, fence)]
    return [Claim(follower, each.segment, each.position, fence, foremost) for each in segments]


def _check_begun(follower: str, segments: Sequence[Claim]) -> None:
    if not segments:
        raise NotFound(f"{follower} has never been followed, so there is nothing to divide. Start the service first.")


def check_named(follower: str, nameless: int) -> None:
    """Check that every parked event has a key, as it could belong to any segment otherwise.

    Raises:
        NotNow: one has none.
    """
    if nameless:
        raise NotNow(
            f"{follower} has parked {nameless} events that name no key, and each is parked for the keys of its segment. Retry "
            "or discard those first: `twofold parked list` shows them."
        )
