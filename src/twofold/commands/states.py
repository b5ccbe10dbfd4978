"""The states that decisions are made on: cached in memory up to a bound, caught up with the log, saved when long."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any, Generic, TypeVar

import msgspec

from twofold.commands.snapshots import Snapshots
from twofold.folding import Fold
from twofold.limits import CommandLimits
from twofold.log import Appended, Criterion, Log, Ticket
from twofold.log.rules import check_condition
from twofold.telemetry.events import StateLoaded

S = TypeVar("S")


class Known(msgspec.Struct, Generic[S], frozen=True, gc=False):
    """A state, and the position up to which the log's events are folded into it: no event of its key is missing or doubled."""

    position: int
    state: S


class Expected(msgspec.Struct, Generic[S], frozen=True):
    """A state as it will be once a queued append is in the log, which has an event of its key as the last one."""

    ticket: Ticket
    state: S


class Basis(msgspec.Struct, frozen=True):
    """What a decision is made on: a state, and after which position or queued append nothing of its key has come.

    It is ``pending`` while that append is certain not to be in the log yet: what it includes then is not older than the
    decision.
    """

    cached: CachedState[Any]
    generation: int
    after: int | Ticket
    state: Any
    pending: bool = False


class CachedState(Generic[S]):
    """The state of one key, known as the log has it and, where appends are queued, as it will be with them.

    Each of the two is one frozen value that is replaced whole, in a step that nothing comes between. What the log has is
    replaced by something later only, so whoever reads the log for a while and whoever appends meanwhile take nothing from
    each other, in whichever order they are done.
    """

    __slots__ = (
        "_expected", "_stale", "criteria", "fold", "generation", "key", "known", "loading", "snapshot_every", "unsaved"
    )  # fmt: skip

    def __init__(self, fold: Fold[S], key: Any, tag: str) -> None:
        self.fold = fold
        self.key = key
        self.criteria = (Criterion(fold.types, (tag,)),)
        check_condition(self.criteria, 0)
        self.snapshot_every = fold.snapshot_every
        self.known = Known(0, fold.initial(key))
        self._expected: Expected[S] | None = None
        self.generation = 0
        self._stale = True
        self.loading = asyncio.Lock()
        self.unsaved = 0

    @property
    def stale(self) -> bool:
        """Whether it has to be read before the next use."""
        self._take_outcome()
        return self._stale

    def basis(self) -> Basis:
        """Return what to decide on now, of a state that is not stale."""
        expected = self._expected
        if expected is None:
            return Basis(self, self.generation, self.known.position, self.known.state)
        return Basis(self, self.generation, expected.ticket, expected.state, not expected.ticket.begun)

    def expect(self, ticket: Ticket, state: S) -> None:
        """Go on from a state that is queued, so that the next decision need not wait for it."""
        self._expected = Expected(ticket, state)

    def _take_outcome(self) -> None:
        """Take note of what has become of the append that is counted on, whether or not its caller still waits for it.

        The guard of that append said that nothing else has come before it, so once it is in the log the expected state is
        what the log has up to there.
        """
        expected = self._expected
        if expected is not None and expected.ticket.outcome is not None:
            self._expected = None
            outcome = expected.ticket.outcome
            if isinstance(outcome, Appended) and not outcome.repeated:
                self.accept(Known(outcome.last, expected.state))
            else:
                self._stale = True

    def accept(self, known: Known[S]) -> None:
        """Take over what the log has, unless something later is known already."""
        if known.position > self.known.position:
            self.known = known

    def refresh(self, known: Known[S]) -> None:
        """Take over what was just read from the log; what was expected before that is not counted on any more."""
        self._take_outcome()
        self.accept(known)
        self._expected = None
        self._stale = False
        self.generation += 1

    def invalidate(self, generation: int) -> None:
        """Take note that the state, as it was in that generation, is not what the log has: it is read before the next use."""
        if generation == self.generation:
            self._stale = True


class StateCache:
    """The cached states of a service, the least recently used of which go first.

    They go by the text of their identity, as in the log: what is one there is one here.
    """

    def __init__(self, log: Log, limits: CommandLimits = CommandLimits()) -> None:
        self._log = log
        self._capacity = limits.cached_states
        self._page_events = limits.page_events
        self._snapshots = Snapshots(log)
        self._cached: OrderedDict[tuple[str, str], CachedState[Any]] = OrderedDict()

    def find(self, fold: Fold[S], key: Any) -> CachedState[S]:
        """Return the cached state of a key; `load` it if it is stale."""
        tag = fold.key.of(key)
        at = (fold.name, tag)
        cached = self._cached.get(at)
        if cached is None:
            cached = self._cached[at] = CachedState(fold, key, tag)
            if len(self._cached) > self._capacity:
                self._cached.popitem(last=False)
        else:
            self._cached.move_to_end(at)
        return cached

    async def load(self, cached: CachedState[Any]) -> None:
        """Make a stale state what the log has; whoever asks meanwhile waits for the same reading."""
        async with cached.loading:
            if cached.stale:
                began = self._log.telemetry.began()
                known, events = await self._read(cached.fold, cached.key, cached.criteria, cached.known)
                cached.refresh(known)
                self.folded(cached, events)
                if began is not None:
                    seconds = self._log.telemetry.since(began)
                    self._log.telemetry.emit(StateLoaded(seconds, events, cached.fold.name))

    async def _read(self, fold: Fold[S], key: Any, criteria: Any, known: Known[S]) -> tuple[Known[S], int]:
        """Return what the log has of a key, from what is known of it on, and how many events that took."""
        if known.position == 0:
            snapshot = await self._snapshots.load(fold, key)
            known = Known(*snapshot) if snapshot else known
        count = 0
        while True:
            events = await self._log.history(criteria, known.position, self._page_events)
            if events:
                known = Known(events[-1].position, fold.replay(known.state, events))
                count += len(events)
            if len(events) < self._page_events:
                return known, count

    async def is_current(self, basis: Basis, position: int, until: int | None = None) -> bool:
        """Say whether the log has nothing for a state after a position (``until`` another one), and have it read if it has."""
        newer = await self._log.history(basis.cached.criteria, position, 1)
        if not newer or (until is not None and newer[0].position > until):
            return True
        basis.cached.invalidate(basis.generation)
        return False

    def folded(self, cached: CachedState[Any], events: int) -> None:
        """Take note that so many events were folded, and save a snapshot if one is due; nobody waits for it."""
        every = cached.snapshot_every
        if every:
            cached.unsaved += events
            if cached.unsaved >= every:
                cached.unsaved = 0
                self._snapshots.save(cached.fold, cached.key, cached.known.position, cached.known.state)

    async def close(self) -> None:
        """Wait for the snapshots that are being saved."""
        await self._snapshots.close()
