"""The words of following: segments of keys, claims on them, and what is parked."""

from __future__ import annotations

from zlib import crc32

import msgspec

WHOLE = 1 << 32


class Segment(msgspec.Struct, frozen=True):
    """A range of keys by their hash, ``low`` included and ``high`` not: the unit in which a follower's work is divided."""

    low: int = 0
    high: int = WHOLE

    def owns(self, lane: str) -> bool:
        """Say whether a key belongs to this segment.

        >>> first, second = Segment(0, WHOLE // 2), Segment(WHOLE // 2, WHOLE)
        >>> first.owns("account:ann") != second.owns("account:ann")
        True
        """
        return (self.low == 0 and self.high == WHOLE) or self.low <= crc32(lane.encode()) < self.high


class Claim(msgspec.Struct, frozen=True):
    """The right to follow a segment, until somebody else is given a higher ``fence``; and how far it has been followed."""

    follower: str
    segment: Segment
    position: int
    fence: int


class Parked(msgspec.Struct, frozen=True):
    """An event that a follower set aside: because it failed, or (no ``error``) because an earlier one of its key had.

    ``lane`` is the key, and ``parked_at_us`` microseconds since 1970.
    """

    follower: str
    lane: str
    position: int
    error: str
    attempts: int
    parked_at_us: int


class Progress(msgspec.Struct, frozen=True):
    """How far one segment of a follower is, and whose it is."""

    follower: str
    segment: Segment
    position: int
    owner: str
    parked: int = 0


class Settled(msgspec.Struct, frozen=True):
    """What a follower has done with a batch: to be stored with its effect, or not at all."""

    claim: Claim
    position: int
    parked: tuple[Parked, ...] = ()
    unparked: tuple[tuple[str, int], ...] = ()
