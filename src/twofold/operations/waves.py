"""Many parked keys at once: in groups that have one cause, and retried in waves that stop when they fail again."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from hashlib import sha256

import msgspec

from twofold.operations.databases import Databases
from twofold.operations.parked import ParkedKey, attempts, has_failed_again, retry

_LOOK_SECONDS = 0.1
_READ_AT_ONCE = 16
_PARTICULARS = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")


class ParkedGroup(msgspec.Struct, frozen=True):
    """Parked keys of a follower whose first events are of one type and have failed for one reason, whatever its particulars.

    ``name`` is short, and the same each time; ``error`` is that of the first key.
    """

    name: str
    service: str
    follower: str
    type: str
    error: str
    events: int
    since: datetime
    keys: tuple[ParkedKey, ...]


class Wave(msgspec.Struct, frozen=True):
    """How far a retry in waves has come: of ``keys``, how many are through and how many have failed again."""

    keys: int
    through: int
    failed: int
    has_stopped: bool = False

    @property
    def left(self) -> int:
        """How many have not been tried."""
        return self.keys - self.through - self.failed


def cause(error: str) -> str:
    """Return what errors of one cause have in common: their texts without numbers and what is quoted.

    >>> cause("ValueError: order 17 of 'ann' is unknown")
    'ValueError: order … of … is unknown'
    """
    return _PARTICULARS.sub("…", error)


async def groups(databases: Databases, keys: Sequence[ParkedKey]) -> list[ParkedGroup]:
    """Return parked keys by follower, type of the event that failed, and cause; those with most keys first."""
    together: dict[tuple[str, str, str], list[ParkedKey]] = {}
    for key, type_ in zip(keys, await _types(databases, keys), strict=True):
        together.setdefault((key.follower, type_, cause(key.error)), []).append(key)
    found = [
        ParkedGroup(
            sha256("\n".join(common).encode()).hexdigest()[:6], databases.service, common[0], common[1], each[0].error,
            sum(key.events for key in each), min(key.parked_at for key in each), tuple(each),
        )
        for common, each in together.items()
    ]  # fmt: skip
    return sorted(found, key=lambda group: (-len(group.keys), group.name))


async def _types(databases: Databases, keys: Sequence[ParkedKey]) -> list[str]:
    """Return the type of each key's first event."""
    turns = asyncio.Semaphore(_READ_AT_ONCE)

    async def read(key: ParkedKey) -> str:
        async with turns:
            (event,) = await databases.log.read(after=key.position - 1, limit=1)
            return event.type

    return await asyncio.gather(*[read(key) for key in keys])


async def retry_in_waves(
    databases: Databases, keys: Sequence[ParkedKey], *, wave_keys: int, keys_per_second: float
) -> AsyncIterator[Wave]:
    """Have parked keys handled again, so many at a time and no more in a second, and tell after each wave how far that is.

    Where half of a wave fails again, the cause is not gone: it stops, and leaves what has not been tried as it is. Somebody
    has to follow meanwhile, see `twofold.operations.following.followed`.

    Raises:
        NotFound: the code at hand has no such follower.
    """
    through = failed = 0
    for start in range(0, len(keys), wave_keys):
        wave = keys[start : start + wave_keys]
        began = databases.clock.monotonic()
        again = sum(await _retried(databases, wave))
        failed += again
        through += len(wave) - again
        has_stopped = 2 * again >= len(wave) and through + failed < len(keys)
        yield Wave(len(keys), through, failed, has_stopped)
        if has_stopped:
            return
        if through + failed < len(keys):
            pause_seconds = len(wave) / keys_per_second - (databases.clock.monotonic() - began)
            await databases.clock.sleep(max(0.0, pause_seconds))


async def _retried(databases: Databases, wave: Sequence[ParkedKey]) -> list[bool]:
    """Have some keys handled again, and say of each whether it has failed again."""
    before = [await attempts(databases, key) for key in wave]
    await retry(databases, wave)
    outcomes = []
    for key, tried in zip(wave, before, strict=True):
        while (has_failed := await has_failed_again(databases, key, tried)) is None:
            await databases.clock.sleep(_LOOK_SECONDS)
        outcomes.append(has_failed)
    return outcomes
