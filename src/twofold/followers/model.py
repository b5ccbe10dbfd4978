"""The words of following: segments of keys, claims on them, and what is parked."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

import msgspec

WHOLE = 1 << 32


class Segment(msgspec.Struct, frozen=True):
    """A range of keys by their hash, ``low`` included and ``high`` not: the unit in which a follower's work is divided."""

    low: int = 0
    high: int = WHOLE

    def owns(self, key: str) -> bool:
        """Say whether a key belongs to this segment.

        >>> first, second = Segment(0, WHOLE // 2), Segment(WHOLE // 2, WHOLE)
        >>> first.owns("account:ann") != second.owns("account:ann")
        True
        """
        if key.startswith("[0x"):
            return key == self.nameless
        return (self.low == 0 and self.high == WHOLE) or self.low <= crc32(key.encode()) < self.high

    @property
    def width(self) -> int:
        """How many hashes it has, of the `WHOLE`."""
        return self.high - self.low

    @property
    def nameless(self) -> str:
        """The key under which an event is parked that names none: each segment parks it for the keys of its own.

        >>> Segment().nameless, Segment(0, WHOLE // 2).nameless
        ('', '[0x0, 0x80000000)')
        """
        return "" if self.width == WHOLE else f"[{self.low:#x}, {self.high:#x})"


class Claim(msgspec.Struct, frozen=True):
    """The right to follow a segment, until somebody else is given a higher ``fence``; and how far it has been followed.

    ``merge_at`` is the position at which it waits for the other segments, to be merged with them; 0 if it is not to be.
    """

    follower: str
    segment: Segment
    position: int
    fence: int
    merge_at: int = 0


class Parked(msgspec.Struct, frozen=True):
    """An event that a follower set aside: because it failed, or (no ``error``) because an earlier one of its key had.

    ``key`` is the text by which events are ordered; ``parked_at_us`` and ``retry_at_us`` are microseconds since 1970. At the
    latter it is tried again, 0: not before somebody asks for it.
    """

    follower: str
    key: str
    position: int
    error: str
    attempts: int
    parked_at_us: int
    retry_at_us: int = 0


class Progress(msgspec.Struct, frozen=True):
    """How far one segment of a follower is, whose it is, and the fence of the latest claim on it."""

    follower: str
    segment: Segment
    position: int
    owner: str
    parked: int = 0
    fence: int = 0


class Standing(msgspec.Struct, frozen=True):
    """Where a follower stands: as long as this is equal, so is all that it has stored.

    ``position`` is the one up to which every segment is. Besides, rows change when a parked event is retried, when the
    follower is rewound, and when segments go on by themselves: ``parked`` counts, and ``segments`` has each one's first key
    hash, position and fence.
    """

    position: int
    segments: tuple[tuple[int, int, int], ...]
    parked: int


def standings(rows: Iterable[tuple[str, int, int, int, int]]) -> dict[str, Standing]:
    """Return where each follower stands, from rows of follower, low, position, fence and how many events it has parked.

    >>> standings([("orders", 0, 7, 1, 0), ("orders", WHOLE // 2, 5, 1, 0)])["orders"].position
    5
    """
    grouped: dict[str, list[tuple[int, int, int, int]]] = {}
    for follower, *rest in rows:
        grouped.setdefault(follower, []).append(tuple(rest))  # type: ignore[arg-type]
    return {
        follower: Standing(
            min(position for _, position, *_ in found),
            tuple(sorted((low, position, fence) for low, position, fence, _ in found)),
            found[0][3],
        )
        for follower, found in grouped.items()
    }


class Checkpoint(msgspec.Struct, frozen=True):
    """What a follower has done with a batch: to be stored with its effect, or not at all."""

    claim: Claim
    position: int
    parked: tuple[Parked, ...] = ()
    unparked: tuple[tuple[str, int], ...] = ()
