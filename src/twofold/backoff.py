"""How long to wait before something that failed is tried again: longer each time, and never two at the same moment."""

from __future__ import annotations

import msgspec


class Backoff(msgspec.Struct, frozen=True):
    """Pauses that grow by a ``factor`` (exponential backoff) up to the longest, each of them shortened by chance.

    Whoever failed for the same reason at the same moment would otherwise come back at the same moment. Of a pause, ``jitter``
    is the part that chance decides about: with 0.5 it takes half of its time at the least, with 0 it is always whole.

    >>> backoff = Backoff(first_seconds=0.1, longest_seconds=1.0)
    >>> [backoff.pause_seconds(attempt, chance=0.0) for attempt in (1, 2, 3, 4, 5)]
    [0.1, 0.2, 0.4, 0.8, 1.0]
    >>> backoff.pause_seconds(5, chance=0.5)
    0.75

    Raises:
        ValueError: there are no such pauses.
    """

    first_seconds: float
    longest_seconds: float
    factor: float = 2.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if not (0 < self.first_seconds <= self.longest_seconds and self.factor >= 1 and 0 <= self.jitter <= 1):
            raise ValueError(
                f"{self!r}: pauses begin above 0, end at the longest or before, and do not become shorter; of each, chance "
                "decides about a part between 0 and 1."
            )

    def pause_seconds(self, attempt: int, chance: float) -> float:
        """Return for how many seconds to wait after an attempt that failed, the first of which is 1.

        ``chance`` is a number in [0, 1) that nobody else has: that of `twofold.clock.Clock.random`.
        """
        try:
            whole = self.first_seconds * self.factor ** (attempt - 1)
        except OverflowError:
            whole = self.longest_seconds
        return min(whole, self.longest_seconds) * (1 - self.jitter * chance)
