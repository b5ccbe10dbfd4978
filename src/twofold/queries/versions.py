"""Which table answers: that of a view's declared version once it is whole, and until then that of the version before it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec

from twofold.clock import Clock
from twofold.errors import TwofoldError, ViewNotReady
from twofold.followers import PositionWaiter, Standing, checkpoints
from twofold.limits import QueryLimits
from twofold.log import Log
from twofold.queries.freshness import Freshness
from twofold.views import Layout, ViewStore, schema
from twofold.views.names import earlier_versions


class _AsDeclared:
    """Nothing is read in the place of anything: nearly always, so it takes no more time than it must."""

    async def __aenter__(self) -> Mapping[str, str]:
        return {}

    async def __aexit__(self, *_: object) -> None:
        return None


AS_DECLARED = _AsDeclared()


class ViewVersions:
    """A service's tables by the followers that fill them, which of them are whole, and what is read until they are."""

    def __init__(
        self,
        layouts: Mapping[str, Collection[Layout]],
        log: Log,
        store: ViewStore,
        positions: PositionWaiter,
        clock: Clock,
        limits: QueryLimits = QueryLimits(),
    ) -> None:
        self._log = log
        self._store = store
        self._positions = positions
        self._clock = clock
        self._poll_seconds = limits.poll_seconds
        self._layouts = {shape.table: shape for shapes in layouts.values() for shape in shapes}
        self._filled_by = {shape.table: name for name, shapes in layouts.items() for shape in shapes}
        self._unready = set(layouts)
        self._floors: dict[str, int] = {}
        self.followers = frozenset(layouts)

    async def open(self, *, may_write: bool) -> None:
        """Find out which tables are whole. In front of an empty log, all are; who ``may_write`` says so to all others."""
        unready = await self.unready()
        if unready and may_write and not await self._log.head():
            await self.mark_whole(unready)

    def has(self, table: str) -> bool:
        """Say whether a table is that of a view which the service declares."""
        return table in self._filled_by

    # Reading.

    def read(self, tables: Sequence[str], freshness: Freshness) -> AbstractAsyncContextManager[Mapping[str, str]]:
        """Give what to read in the place of some tables, for a block, once all that is read is fresh enough.

        A table for which there is nothing is read itself.

        Raises:
            ReceiptTimeout: it is not in time.
            ViewNotReady: a table is not whole in time, and there is no earlier one that would do.
        """
        if self._unready or self._floors or not self._are_at(freshness.position, tables):
            return self._read(tables, freshness)
        return AS_DECLARED

    def _are_at(self, position: int, tables: Sequence[str]) -> bool:
        return not position or all(
            self._positions.has_reached(self._filled_by[table], position) for table in tables if self.has(table)
        )

    @asynccontextmanager
    async def _read(self, tables: Sequence[str], freshness: Freshness) -> AsyncIterator[Mapping[str, str]]:
        found = [(table, await self._answering(table, freshness)) for table in tables]
        substitutes = {table: other for table, other in found if other != table}
        try:
            yield substitutes
        except TwofoldError:
            raise
        except Exception as error:
            if not substitutes:
                raise
            # Two versions may store different things in the same way.
            raise await self._not_ready(self._filled_by[next(iter(substitutes))]) from error
        for table, other in substitutes.items():
            # Once it is whole, a table must not answer from before what its predecessor was asked for last.
            follower, position = self._filled_by[table], await checkpoints.position(self._store, other)
            self._floors[follower] = max(self._floors.get(follower, 0), position)

    async def _answering(self, table: str, freshness: Freshness) -> str:
        """Return which table answers for one, once it is fresh enough."""
        follower = self._filled_by.get(table)
        if follower in self._unready:
            return await self._answering_meanwhile(follower, table, freshness)
        if follower is not None:
            await self._reach(follower, freshness)
        return table

    async def _answering_meanwhile(self, follower: str, table: str, freshness: Freshness) -> str:
        head, predecessor = await self._log.head(), await self._predecessor(table)
        while True:
            if follower not in await self.unready():
                await self._reach(follower, freshness)
                return table
            if await checkpoints.position(self._store, follower) >= max(head, self._floors.get(follower, 0)):
                return table
            if predecessor and await checkpoints.position(self._store, predecessor) >= freshness.position:
                return predecessor
            if not freshness.seconds_left(self._clock):
                raise await self._not_ready(follower)
            await self._clock.sleep(self._poll_seconds)

    async def _reach(self, follower: str, freshness: Freshness) -> None:
        floor = self._floors.get(follower, 0)
        await self._positions.reach(follower, max(freshness.position, floor), freshness.seconds_left(self._clock))
        # Meanwhile its predecessor may have been asked once more, from further on.
        if self._floors.get(follower, 0) <= floor:
            self._floors.pop(follower, None)

    async def _predecessor(self, table: str) -> str:
        """Return the newest earlier version of a table that is whole, if rows of this version can be read from it."""
        begun = {each.follower for each in await checkpoints.progress(self._store)}
        known = begun & await checkpoints.caught_up(self._store)
        for other in earlier_versions(table, known)[:1]:
            if await schema.has(self._store, msgspec.structs.replace(self._layouts[table], table=other)):
                return other
        return ""

    async def _not_ready(self, follower: str) -> ViewNotReady:
        return ViewNotReady(
            f"{await self._how_far(follower)} Ask again later, or a process that runs the code of before."
        )

    # What is filled still.

    async def unready(self) -> frozenset[str]:
        """Return the followers whose tables are not whole."""
        if self._unready:
            self._unready.difference_update(await checkpoints.caught_up(self._store))
        return frozenset(self._unready)

    async def how_far(self) -> dict[str, str]:
        """Return the followers whose tables are not whole, with how far each is in words."""
        return {follower: await self._how_far(follower) for follower in sorted(await self.unready())}

    async def mark_whole(self, followers: Collection[str]) -> None:
        """Take note, for all processes and for good, that what some followers fill is whole."""
        await checkpoints.mark_caught_up(self._store, sorted(followers))
        self._unready.difference_update(followers)

    async def _how_far(self, follower: str) -> str:
        position, head = await checkpoints.position(self._store, follower), await self._log.head()
        return f"{follower} is being filled: it is at position {position} of {head}."

    def standings(self, tables: Iterable[str], now: Mapping[str, Standing]) -> dict[str, Standing | None] | None:
        """Return where those stand that fill some tables; None if of one it is not known who does.

        An earlier version of a view is filled by a follower of its table's name.
        """
        followers = [self._filled_by.get(table, table) for table in tables]
        if any(follower not in now and follower not in self.followers for follower in followers):
            return None
        return {follower: now.get(follower) for follower in followers}
