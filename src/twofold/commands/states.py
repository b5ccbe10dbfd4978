"""The states that decisions are made on: kept in memory up to a bound, caught up with the log, saved when long."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from typing import Any, Generic, TypeVar

from twofold.errors import LogError
from twofold.folding import Fold
from twofold.log import Appended, Criterion, Log, Snapshot, Ticket
from twofold.messages import decoder, encode

S = TypeVar("S")

_logger = logging.getLogger("twofold.commands")

_EVENTS_PER_READ = 2000


class Cell(Generic[S]):
    """One state, known twice: as the log has it, and as it will be once what is queued is in the log.

    ``after`` says what the latter counts on: a position, or the queued append that it includes last.
    """

    __slots__ = (
        "after", "confirmed", "criteria", "fold", "generation", "key", "loading", "position", "stale", "state", "unsaved"
    )  # fmt: skip

    def __init__(self, fold: Fold[S], key: Any) -> None:
        self.fold = fold
        self.key = key
        self.criteria = (Criterion(fold.types, (fold.tag.of(key),)),)
        self.confirmed = self.state = fold.initial(key)
        self.position = 0
        self.unsaved = 0
        self.after: int | Ticket = 0
        self.generation = 0
        self.stale = True
        self.loading = asyncio.Lock()

    @property
    def counts_on(self) -> int | Ticket:
        """What `after` comes to: an append that has been made is a position, and was before whoever asks now."""
        outcome = self.after.outcome if isinstance(self.after, Ticket) else None
        return outcome.last if isinstance(outcome, Appended) and not outcome.repeated else self.after

    def expect(self, state: S, ticket: Ticket) -> None:
        """Go on from a state that is queued, so that the next decision need not wait for it."""
        self.state = state
        self.after = ticket

    def confirm(self, state: S, ticket: Ticket, position: int, events: int) -> None:
        """Take note that what was expected with the ticket, so many events, is in the log."""
        self.unsaved += events
        if position > self.position:
            self.confirmed, self.position = state, position
        if self.after is ticket:
            self.after = position

    def spoil(self, generation: int) -> None:
        """Take note that the state, as it was in that generation, is not what the log has: it is read before the next use."""
        if generation == self.generation:
            self.stale = True


class States:
    """The cells of a service, the least recently used of which go first."""

    def __init__(self, log: Log, capacity: int = 10_000) -> None:
        self._log = log
        self._capacity = capacity
        self._cells: OrderedDict[tuple[str, Any], Cell[Any]] = OrderedDict()
        self._saving: set[asyncio.Task[None]] = set()

    def find(self, fold: Fold[S], key: Any) -> Cell[S]:
        """Return the cell of a key; `load` it if it is stale."""
        at = (fold.name, key)
        cell = self._cells.get(at)
        if cell is None:
            cell = self._cells[at] = Cell(fold, key)
            if len(self._cells) > self._capacity:
                self._cells.popitem(last=False)
        else:
            self._cells.move_to_end(at)
        return cell

    async def load(self, cell: Cell[Any]) -> None:
        """Make a stale cell what the log has; whoever asks meanwhile waits for the same reading."""
        async with cell.loading:
            if cell.stale:
                if cell.position == 0:
                    await self._restore(cell)
                await self._catch_up(cell)
                self.keep(cell)

    async def _catch_up(self, cell: Cell[Any]) -> None:
        while True:
            events = await self._log.history(cell.criteria, cell.position, _EVENTS_PER_READ)
            if events:
                cell.confirmed = cell.fold.replay(cell.confirmed, events)
                cell.position = events[-1].position
                cell.unsaved += len(events)
            if len(events) < _EVENTS_PER_READ:
                break
        cell.state, cell.after = cell.confirmed, cell.position
        cell.stale = False
        cell.generation += 1

    async def is_current(self, cell: Cell[Any], position: int) -> bool:
        """Say whether the log has nothing for the cell after a position."""
        if not await self._log.history(cell.criteria, position, 1):
            return True
        if cell.counts_on == position:
            cell.spoil(cell.generation)
        return False

    # Snapshots: a state that took many events to fold is kept under the fingerprint of the code that folded it.

    async def _restore(self, cell: Cell[Any]) -> None:
        if _snapshot_every(cell.fold):
            snapshot = await self._log.store.load_snapshot(_snapshot_name(cell.fold), cell.fold.tag.of(cell.key))
            if snapshot is not None:
                cell.confirmed = decoder(cell.fold.state).decode(snapshot.data)
                cell.position = snapshot.position

    def keep(self, cell: Cell[Any]) -> None:
        """Save a snapshot if there is one due; nobody waits for it, and the next one makes good a lost one."""
        every = _snapshot_every(cell.fold)
        if every and cell.unsaved >= every:
            cell.unsaved = 0
            task = asyncio.create_task(self._save(cell.fold, cell.key, cell.position, cell.confirmed))
            self._saving.add(task)
            task.add_done_callback(self._saving.discard)

    async def _save(self, fold: Fold[S], key: Any, position: int, state: S) -> None:
        try:
            snapshot = Snapshot(position, _encoded(fold, state))
            await self._log.store.save_snapshot(_snapshot_name(fold), fold.tag.of(key), snapshot)
        except (LogError, TypeError, ValueError) as error:
            _logger.warning("No snapshot of %s %s was kept, which costs only time: %s", fold.name, key, error)

    async def close(self) -> None:
        """Wait for the snapshots that are being saved."""
        await asyncio.gather(*self._saving)


def _encoded(fold: Fold[S], state: S) -> bytes:
    """Encode a state, and make sure that it comes back as it is: its annotations may promise less than it holds."""
    data = encode(state)
    if decoder(fold.state).decode(data) != state:
        raise ValueError("it would not come back from JSON as it is; annotate its fields with the types that they hold")
    return data


def _snapshot_every(fold: Fold[Any]) -> int:
    every: int = getattr(fold.state, "snapshot_every", 0)
    return every


def _snapshot_name(fold: Fold[Any]) -> str:
    return f"{fold.name}:{fold.fingerprint}"
