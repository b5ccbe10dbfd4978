"""Views that are being filled: what answers until they are whole, and what becomes of what they replace."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import msgspec

from twofold.clock import Clock
from twofold.declaration import Declaration, layouts
from twofold.errors import TwofoldError, ViewNotReady
from twofold.followers import BatchHandler, Coordinator, PositionWaiter, Progress, checkpoints, claiming
from twofold.followers.shadow import shadow_follower, shadowed
from twofold.limits import FollowerLimits, Limits
from twofold.log import Log
from twofold.queries.views import at_once
from twofold.views import ProjectionHandler, ViewHandler, ViewStore, replacing, schema, table_name
from twofold.views.shadow import shadow_table

_LOOK_SECONDS = 0.5
_LOOK_AGAIN_SECONDS = 0.1
_FEW_LOOKS = 20
_NEAR_EVENTS = 2000
_HOLD_SECONDS = 0.5
_LOOKS_BEFORE_HOLD = 3
_LOOKS_PER_HOLD = 30
_ADVICE = "Ask again later, or a process that runs the code of before."

_logger = logging.getLogger("twofold.service")


class _Goal(msgspec.Struct):
    """Where the log ended once, and how often it was looked since."""

    position: int
    looks: int = 0


class ViewVersions:
    """What a service's tables are filled with in the end, and which of them are whole."""

    def __init__(
        self,
        declaration: Declaration,
        log: Log,
        store: ViewStore,
        positions: PositionWaiter,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._declaration = declaration
        self._log = log
        self._store = store
        self._positions = positions
        self._clock = clock
        self._layouts = layouts(declaration)
        self._filled_by = {shape.table: name for name, shapes in self._layouts.items() for shape in shapes}
        self._unready = set(self._layouts)
        self._floors: dict[str, int] = {}
        self._goals: dict[str, _Goal] = {}
        self._neck_and_neck: Counter[str] = Counter()
        self._poll_seconds = limits.queries.poll_seconds
        self._gone_seconds = _gone_seconds(limits.followers)
        self._gone_since: dict[str, float] = {}

    async def open(self, *, may_write: bool) -> None:
        """Find out which tables are whole. In front of an empty log, all are; who ``may_write`` says so to all others."""
        self._unready -= await checkpoints.caught_up(self._store)
        if may_write and self._unready and not await self._log.head():
            await checkpoints.mark_caught_up(self._store, sorted(self._unready))
            self._unready.clear()

    # Answering.

    def reading(
        self, position: int, deadline: float, tables: Sequence[str]
    ) -> AbstractAsyncContextManager[Mapping[str, str]]:
        """Give what to read for some tables, for a block, once that has reached a position.

        Raises:
            ReceiptTimeout: it has not in time.
            ViewNotReady: a table is not whole in time, and there is no earlier one that would do.
        """
        if position or self._unready or self._floors:
            return self._reading(position, deadline, tables)
        return at_once(tables)

    @asynccontextmanager
    async def _reading(self, position: int, deadline: float, tables: Sequence[str]) -> AsyncIterator[Mapping[str, str]]:
        earlier = {}
        for table in tables:
            follower = self._filled_by.get(table)
            if follower in self._unready:
                if other := await self._other(follower, table, position, deadline):
                    earlier[table] = other
            elif follower is not None and (position or self._floors):
                await self._reach(follower, position, deadline)
        try:
            yield earlier
        except TwofoldError:
            raise
        except Exception as error:
            if not earlier:
                raise
            # Two versions may store different things in the same way.
            raise ViewNotReady(f"{await self._how_far(self._filled_by[next(iter(earlier))])} {_ADVICE}") from error
        for table, other in earlier.items():
            # Once it is whole, a table must not answer from before what its predecessor was asked for last.
            follower, position = self._filled_by[table], await checkpoints.position(self._store, other)
            self._floors[follower] = max(self._floors.get(follower, 0), position)

    async def _reach(self, follower: str, position: int, deadline: float) -> None:
        floor = self._floors.get(follower, 0)
        await self._positions.reach(follower, max(position, floor), self._left(deadline))
        # Meanwhile its predecessor may have been asked once more, from further on.
        if self._floors.get(follower, 0) <= floor:
            self._floors.pop(follower, None)

    def _left(self, deadline: float) -> float:
        return max(0.0, deadline - self._clock.monotonic())

    async def _other(self, follower: str, table: str, position: int, deadline: float) -> str:
        """Return which table answers in the place of one that is not whole; '' once it is."""
        head, other = await self._log.head(), await self._predecessor(table)
        while True:
            self._unready -= await checkpoints.caught_up(self._store)
            if follower not in self._unready:
                await self._reach(follower, position, deadline)
                return ""
            if await checkpoints.position(self._store, follower) >= max(head, self._floors.get(follower, 0)):
                return ""
            if other and await checkpoints.position(self._store, other) >= position:
                return other
            if not self._left(deadline):
                raise ViewNotReady(f"{await self._how_far(follower)} {_ADVICE}")
            await self._clock.sleep(self._poll_seconds)

    async def _predecessor(self, table: str) -> str:
        """Return the newest earlier version of a table that is whole, if rows of this version can be read from it."""
        begun = {each.follower for each in await checkpoints.progress(self._store)}
        known = begun & await checkpoints.caught_up(self._store)
        for shape in (shape for shapes in self._layouts.values() for shape in shapes if shape.table == table):
            for other in sorted(earlier_versions(table, known), key=_version, reverse=True)[:1]:
                if await schema.has(self._store, msgspec.structs.replace(shape, table=other)):
                    return other
        return ""

    async def _how_far(self, follower: str) -> str:
        position, head = await checkpoints.position(self._store, follower), await self._log.head()
        return f"{follower} is being built: it is at position {position} of {head}."

    async def unready(self) -> dict[str, str]:
        """Return the followers whose tables are not whole, with how far they are."""
        if self._unready:
            self._unready -= await checkpoints.caught_up(self._store)
        return {follower: await self._how_far(follower) for follower in sorted(self._unready)}

    # Tending.

    async def tend(self, coordinator: Coordinator) -> None:
        """See to it, until cancelled, that what is filled takes the place of what it replaces."""
        trouble = ""
        while True:
            pause, known, trouble = _LOOK_SECONDS, trouble, ""
            try:
                if await self._look(coordinator):
                    pause = _LOOK_AGAIN_SECONDS
            except Exception as error:
                trouble = str(error)
                if trouble != known:
                    expected = isinstance(error, TwofoldError)
                    _logger.warning("What was built cannot take over: %s", error, exc_info=None if expected else error)
            await self._clock.sleep(pause)

    async def _look(self, coordinator: Coordinator) -> bool:
        """Do what can be done now, and say whether it is worth looking again soon."""
        progress = await checkpoints.progress(self._store)
        shadows = [name for name in self._layouts if any(each.follower == shadow_follower(name) for each in progress)]
        self._neck_and_neck = Counter({name: self._neck_and_neck[name] for name in shadows})
        for follower in shadows:
            hold_seconds = self._how_long_to_hold(follower, progress, coordinator.owner)
            if await replacing.take_over(self._store, follower, self._layouts[follower], hold_seconds):
                _logger.info("%s was rebuilt: what was filled anew answers now.", follower)
                coordinator.look_again()
        if self._unready:
            await self._mark_caught_up(progress)
        await self._drop_predecessors(progress)
        return bool(shadows or self._unready)

    def _how_long_to_hold(self, follower: str, progress: Sequence[Progress], owner: str) -> float:
        """Say for how long a view had best not move, so that its shadow can take over.

        Where much is coming in, each segment of either is ahead now and then, and all of the shadow's at one time perhaps
        never. It is held when that was so for a few looks, by one process, and not again soon: it must not stand still for
        a shadow that does not move.
        """
        owners = [each.owner for each in progress if each.follower == shadow_follower(follower)]
        if not all(owners) or owners[0] != owner or not 0 < _lag(follower, progress) <= _NEAR_EVENTS:
            return 0
        self._neck_and_neck[follower] += 1
        return _HOLD_SECONDS if self._neck_and_neck[follower] % _LOOKS_PER_HOLD == _LOOKS_BEFORE_HOLD else 0

    async def _mark_caught_up(self, progress: Sequence[Progress]) -> None:
        """Find out who has been where the log ended, not longer ago than it takes to look a few times."""
        self._unready -= await checkpoints.caught_up(self._store)
        done = []
        for follower in sorted(self._unready):
            goal = self._goals.get(follower)
            position = min([each.position for each in progress if each.follower == follower], default=-1)
            if goal is None or (position >= goal.position and goal.looks > _FEW_LOOKS):
                self._goals[follower] = _Goal(await self._log.head())
            elif position >= goal.position:
                done.append(follower)
            else:
                goal.looks += 1
        if done:
            await checkpoints.mark_caught_up(self._store, done)
            self._unready -= {*done}
            _logger.info("%s: built, and answers from now on.", ", ".join(done))

    async def _drop_predecessors(self, progress: Sequence[Progress]) -> None:
        known = {shadowed(each.follower) or each.follower for each in progress}
        old = {
            other: follower
            for follower in map(table_name, self._declaration.folded)
            if follower not in self._unready
            for other in earlier_versions(follower, known - self._layouts.keys())
        }
        there = await claiming.declared(self._store) if old else set()
        now = self._clock.monotonic()
        self._gone_since = {other: self._gone_since.get(other, now) for other in old if other not in there}
        for other, since in self._gone_since.items():
            if now - since >= self._gone_seconds and await self._drop(other):
                _logger.warning(
                    "%s was dropped, with its table: %s answers, and no process declares it.", other, old[other]
                )

    async def _drop(self, follower: str) -> bool:
        if not await replacing.drop(self._store, follower, [follower]):
            return False
        shadow, tables = shadow_follower(follower), [shadow_table(follower)]
        return await replacing.drop(self._store, shadow, tables, even_if_declared=True)


def _lag(follower: str, progress: Sequence[Progress]) -> int:
    """Return by how many events a follower's shadow is behind it, where that is most.

    >>> from twofold.followers import Segment
    >>> live = [Progress("a_v1", Segment(0, 4), 7, ""), Progress("a_v1", Segment(4, 8), 5, "")]
    >>> _lag("a_v1", [*live, Progress("a_v1:rebuild", Segment(0, 8), 6, "")])
    1
    """
    shadows = [each for each in progress if each.follower == shadow_follower(follower)]
    lags = [
        live.position - shadow.position
        for live in progress
        for shadow in shadows
        if live.follower == follower
        and live.segment.low < shadow.segment.high
        and shadow.segment.low < live.segment.high
    ]
    return max(lags, default=0)


def _gone_seconds(limits: FollowerLimits) -> float:
    """Return for how long nobody may be there for a follower before it is taken to be gone for good.

    A process whose followers have all failed pauses for a while, and says meanwhile of none that it is there for it.
    """
    return limits.lease_seconds + max(2 * limits.lease_seconds, limits.longest_pause_seconds)


def view_handlers(
    declaration: Declaration, log: Log, store: ViewStore, clock: Clock, limits: FollowerLimits
) -> dict[str, Callable[[], BatchHandler]]:
    """Return what fills the views, and what fills their shadows when they are rebuilt, by the followers' names."""
    handlers: dict[str, Callable[[], BatchHandler]] = {}
    for view in declaration.folded:
        make = partial(ViewHandler, view, log, store, clock, limits=limits)
        handlers[table_name(view)], handlers[shadow_follower(table_name(view))] = make, partial(make, as_shadow=True)
    for projection in declaration.projections:
        run = partial(ProjectionHandler, projection, log, store, clock, limits=limits)
        handlers[projection.name], handlers[shadow_follower(projection.name)] = run, partial(run, as_shadow=True)
    return handlers


def earlier_versions(table: str, names: Iterable[str]) -> list[str]:
    """Return those of some names that are earlier versions of a view's table.

    >>> earlier_versions("balance_v3", ["balance_v1", "balance_v3", "balance_v4", "balances_v1", "relay"])
    ['balance_v1']
    """
    base = table.rpartition("_v")[0]
    return [
        each for each in names if re.fullmatch(re.escape(base) + r"_v\d+", each) and _version(each) < _version(table)
    ]


def _version(table: str) -> int:
    return int(table.rpartition("_v")[2])
