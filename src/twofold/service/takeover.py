"""Taking over: what is filled takes the place of what it replaces, once it is whole; and that goes, once nobody needs it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Sequence

import msgspec

from twofold.clock import Clock
from twofold.declaration import Declaration, layouts
from twofold.errors import TwofoldError
from twofold.followers import Coordinator, Progress, checkpoints, claiming
from twofold.followers.shadow import shadow_follower, shadowed
from twofold.limits import FollowerLimits
from twofold.log import Log
from twofold.queries import ViewVersions
from twofold.views import ViewStore, replacing, table_name
from twofold.views.names import earlier_versions
from twofold.views.shadow import shadow_table

_LOOK_SECONDS = 0.5
_LOOK_AGAIN_SECONDS = 0.1
_FEW_LOOKS = 20
_NEAR_EVENTS = 2000
_HOLD_SECONDS = 0.5
_LOOKS_BEFORE_HOLD = 3
_LOOKS_PER_HOLD = 30

_logger = logging.getLogger("twofold.service")


class _Goal(msgspec.Struct):
    """Where the log ended once, and how often it was looked since."""

    position: int
    looks: int = 0


class Takeover:
    """Sees to it that the tables which a service's followers fill take the place of earlier ones.

    A new version of a view does so when it is whole, and a shadow when no key of it is behind.
    """

    def __init__(
        self,
        declaration: Declaration,
        versions: ViewVersions,
        coordinator: Coordinator,
        log: Log,
        store: ViewStore,
        clock: Clock,
        limits: FollowerLimits,
    ) -> None:
        self._layouts = layouts(declaration)
        self._folded = [table_name(view) for view in declaration.folded]
        self._versions = versions
        self._coordinator = coordinator
        self._log = log
        self._store = store
        self._clock = clock
        self._goals: dict[str, _Goal] = {}
        self._neck_and_neck: Counter[str] = Counter()
        self._gone_seconds = _gone_seconds(limits)
        self._gone_since: dict[str, float] = {}

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        failure = ""
        while True:
            pause, known, failure = _LOOK_SECONDS, failure, ""
            try:
                if await self._look():
                    pause = _LOOK_AGAIN_SECONDS
            except Exception as error:
                failure = str(error)
                if failure != known:
                    expected = isinstance(error, TwofoldError)
                    _logger.warning("What was filled cannot take over: %s", error, exc_info=None if expected else error)
            await self._clock.sleep(pause)

    async def _look(self) -> bool:
        """Do what can be done now, and say whether it is worth looking again soon."""
        progress = await checkpoints.progress(self._store)
        shadows = [name for name in self._layouts if any(each.follower == shadow_follower(name) for each in progress)]
        self._neck_and_neck = Counter({name: self._neck_and_neck[name] for name in shadows})
        for follower in shadows:
            hold_seconds = self._how_long_to_hold(follower, progress)
            if await replacing.take_over(self._store, follower, self._layouts[follower], hold_seconds):
                _logger.info("%s was rebuilt: what was filled anew answers now.", follower)
                self._coordinator.look_again()
        unready = await self._mark_whole(await self._versions.unready(), progress)
        await self._drop_predecessors(unready, progress)
        return bool(shadows or unready)

    def _how_long_to_hold(self, follower: str, progress: Sequence[Progress]) -> float:
        """Say for how long a view had best not move, so that its shadow can take over.

        Where much is coming in, each segment of either is ahead now and then, and all of the shadow's at one time perhaps
        never. It is held when that was so for a few looks, by one process, and not again soon: it must not stand still for
        a shadow that does not move.
        """
        owners = [each.owner for each in progress if each.follower == shadow_follower(follower)]
        is_here = all(owners) and owners[0] == self._coordinator.owner
        if not is_here or not 0 < _lag(follower, progress) <= _NEAR_EVENTS:
            return 0
        self._neck_and_neck[follower] += 1
        return _HOLD_SECONDS if self._neck_and_neck[follower] % _LOOKS_PER_HOLD == _LOOKS_BEFORE_HOLD else 0

    async def _mark_whole(self, unready: Collection[str], progress: Sequence[Progress]) -> set[str]:
        """Find out who has been where the log ended, not longer ago than it takes to look a few times; return the others."""
        whole = set()
        for follower in sorted(unready):
            goal = self._goals.get(follower)
            position = min([each.position for each in progress if each.follower == follower], default=-1)
            if goal is None or (position >= goal.position and goal.looks > _FEW_LOOKS):
                self._goals[follower] = _Goal(await self._log.head())
            elif position >= goal.position:
                whole.add(follower)
            else:
                goal.looks += 1
        if whole:
            await self._versions.mark_whole(whole)
            _logger.info("%s: filled, and answers from now on.", ", ".join(sorted(whole)))
        return {*unready} - whole

    async def _drop_predecessors(self, unready: Collection[str], progress: Sequence[Progress]) -> None:
        known = {shadowed(each.follower) or each.follower for each in progress}
        old = {
            other: follower
            for follower in self._folded
            if follower not in unready
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
