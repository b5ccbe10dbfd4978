"""Who follows what, in a PostgreSQL schema: presences, leases, and how segments are divided."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from twofold.adapters.postgres.address import Address
from twofold.adapters.postgres.database import Connection
from twofold.adapters.statements import load_statements
from twofold.followers import WHOLE, Assignment, Claim, Segment, assign
from twofold.followers.division import check_named, merge
from twofold.views.shadow import shadowed

_SQL = load_statements("twofold.adapters.postgres", "claims.sql")


def followers_lock(address: Address) -> str:
    """Return the name of the lock under which segments are made, given, divided and dropped."""
    return f"twofold {address.schema} followers"


class Claims:
    """What is to be done about claims on a connection; each call is a transaction."""

    def __init__(self, address: Address) -> None:
        self._lock = followers_lock(address)
        self._sql = {name: statement.replace("{schema}", address.quoted_schema) for name, statement in _SQL.items()}

    async def attend(
        self, owner: str, followers: list[str], lease_seconds: float, connection: Connection
    ) -> list[Claim]:
        """Note that an owner is there, and return its claims: those that it had and keeps, and its assign of what is free."""
        async with self._alone(connection):
            shadows = await connection.fetch(self._sql["begun"], [each for each in followers if shadowed(each)])
            followers = [each for each in followers if not shadowed(each)]
            await connection.execute(self._sql["add_followers"], followers, WHOLE)
            followers += [follower for (follower,) in shadows]
            await connection.execute(self._sql["end_lease"], lease_seconds)
            await connection.execute(self._sql["forget_present"], owner, followers, lease_seconds)
            await connection.execute(self._sql["add_present"], owner, followers, lease_seconds)
            for row in await connection.fetch(self._sql["merged"]):
                await self._replace_segments(row[0], partial(merge, row[0]), connection)
            await self._share_out(owner, followers, lease_seconds, connection)
            return [_claim_of(*row) for row in await connection.fetch(self._sql["claims"], owner)]

    async def _share_out(self, owner: str, followers: list[str], lease_seconds: float, connection: Connection) -> None:
        idle = {tuple(row) for row in await connection.fetch(self._sql["lock_idle"], owner)}
        seats = [_seat_of(*row) for row in await connection.fetch(self._sql["seats"], owner)]
        present: dict[str, list[str]] = {}
        for follower, other in await connection.fetch(self._sql["present"]):
            present.setdefault(follower, []).append(other)
        decided = assign(owner, followers, seats, present)
        await connection.executemany(self._sql["leave"], _places(decided.leave, idle))
        await connection.executemany(self._sql["take"], [(owner, *place) for place in _places(decided.take, idle)])
        names, lows = [name for name, _ in idle], [low for _, low in idle]
        await connection.execute(self._sql["renew"], owner, names, lows, lease_seconds)

    async def leave(self, owner: str, connection: Connection) -> None:
        """Give back all that an owner has, and forget that it was there."""
        async with self._alone(connection):
            await connection.execute(self._sql["leave_all"], owner)
            await connection.execute(self._sql["leave_present"], owner)

    async def divide(
        self, follower: str, divided: Callable[[Sequence[Claim]], list[Claim]], connection: Connection
    ) -> None:
        """Replace a follower's segments by others."""
        async with self._alone(connection):
            check_named(follower, await connection.fetchval(self._sql["nameless"], follower))
            await self._replace_segments(follower, divided, connection)

    async def _replace_segments(
        self, follower: str, divided: Callable[[Sequence[Claim]], list[Claim]], connection: Connection
    ) -> None:
        found = await connection.fetch(self._sql["segments"], follower)
        segments = divided([_claim_of(follower, *row) for row in found])
        await connection.execute(self._sql["drop_segments"], follower)
        rows = [(follower, s.segment.low, s.segment.high, s.position, s.fence, s.merge_at) for s in segments]
        await connection.executemany(self._sql["add_segment"], rows)

    @asynccontextmanager
    async def _alone(self, connection: Connection) -> AsyncIterator[None]:
        """Run a transaction that no other one about who follows what comes between: each sees what the others took."""
        async with connection.transaction():
            await connection.execute(self._sql["lock"], self._lock)
            yield


def _places(seats: Sequence[Assignment], idle: set[tuple[Any, ...]]) -> list[tuple[str, int]]:
    """Return of some seats those that are not locked."""
    places = [(seat.follower, seat.segment.low) for seat in seats]
    return [place for place in places if place in idle]


def _seat_of(follower: str, low: int, high: int, owner: str, closed: bool) -> Assignment:
    return Assignment(follower, Segment(low, high), owner, closed)


def _claim_of(follower: str, low: int, high: int, position: int, fence: int, merge_at: int) -> Claim:
    return Claim(follower, Segment(low, high), position, fence, merge_at)
