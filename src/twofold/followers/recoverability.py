"""Recoverability: what becomes of an event that could not be handled, as a value that a policy returns.

A policy is a function of a `Failure`. `retries` makes the usual ones: some attempts at once, as most of what fails has
passed a moment later, then some after growing pauses, and then the event is parked. What cannot succeed is not tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias

import msgspec

from twofold.clock import moment
from twofold.errors import InvalidMessage, Rejected, UnrecordableEvent, Unrecoverable, ValueRefused

UNRECOVERABLE: tuple[type[BaseException], ...] = (
    Unrecoverable, InvalidMessage, Rejected, UnrecordableEvent, ValueRefused, msgspec.MsgspecError,
)  # fmt: skip
"""Errors of what is wrong in itself: bad data, or refused by a decision. The same again would fail again."""

_LONGEST_SECONDS = 10 * 366 * 86_400


class Failure(msgspec.Struct, frozen=True):
    """An event that a follower could not handle.

    ``attempts`` counts this one as well, across restarts, and ``failed_at_us`` is now, in microseconds since 1970.
    """

    follower: str
    key: str
    position: int
    error: BaseException
    attempts: int
    failed_at_us: int

    @property
    def failed_at(self) -> datetime:
        """When it failed."""
        return moment(self.failed_at_us)


class RetryNow(msgspec.Struct, frozen=True):
    """The event is tried again at once."""


class RetryAfter(msgspec.Struct, frozen=True):
    """The event is tried again after some seconds; later ones of its key wait, and all other keys go on.

    Raises:
        ValueError: it is no time, or longer than ten years.
    """

    seconds: float

    def __post_init__(self) -> None:
        if not 0 <= self.seconds <= _LONGEST_SECONDS:
            raise ValueError(f"RetryAfter({self.seconds!r}): give a number of seconds from 0 to {_LONGEST_SECONDS}.")


class Park(msgspec.Struct, frozen=True):
    """The event is set aside, with all later ones of its key, until somebody has it retried or discards it."""


class Discard(msgspec.Struct, frozen=True):
    """The event is left out, for a reason that is told; later ones of its key go on."""

    reason: str


Decision: TypeAlias = RetryNow | RetryAfter | Park | Discard
Policy: TypeAlias = Callable[[Failure], Decision]


def retries(
    immediate: int = 2,
    delays_seconds: Sequence[float] = (10, 60, 300, 1800),
    unrecoverable: tuple[type[BaseException], ...] = UNRECOVERABLE,
) -> Policy:
    """Return the policy that tries so many times at once, then after each of the delays and as many times at once again.

    So with k immediate retries and d delayed ones, an event is tried (k+1)(d+1) times before it is parked; errors that are
    ``unrecoverable`` park it after the first.

    >>> policy = retries(immediate=1, delays_seconds=[10])
    >>> failing = [Failure("mail", "order:1", 7, OSError("down"), attempts, 0) for attempts in (1, 2, 3, 4)]
    >>> [policy(each) for each in failing]
    [RetryNow(), RetryAfter(seconds=10), RetryNow(), Park()]

    Raises:
        ValueError: there are no such retries.
    """
    if immediate < 0:
        raise ValueError(f"retries(immediate={immediate!r}): give a number of retries, 0 for none.")
    delays = [RetryAfter(each) for each in delays_seconds]

    def policy(failure: Failure) -> Decision:
        if isinstance(failure.error, unrecoverable):
            return Park()
        rounds, attempt = divmod(failure.attempts, immediate + 1)
        if attempt:
            return RetryNow()
        return delays[rounds - 1] if rounds <= len(delays) else Park()

    return policy
