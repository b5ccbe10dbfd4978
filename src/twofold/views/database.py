"""The facade of a views' database: what is written and what is read is checked alike, and told to whoever listens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from twofold.errors import LogCorrupted
from twofold.followers import Checkpoint, Segment
from twofold.followers.session import Unit
from twofold.telemetry import Telemetry
from twofold.telemetry.events import ViewCommitted, ViewLoaded, ViewSelected
from twofold.views.store import TableChange, ViewStore, Write
from twofold.views.view import Layout

T = TypeVar("T")


class ViewDatabase:
    """A database for views, as a running service uses it: a `ViewStore` in front of that of an adapter."""

    def __init__(self, store: ViewStore, telemetry: Telemetry) -> None:
        self.store = store
        self._telemetry = telemetry
        self._stored: dict[tuple[str, Segment], tuple[int, int]] = {}

    @property
    def name(self) -> str:
        """What the database is called where people read of it."""
        return self.store.name

    async def open(self, *, read_only: bool = False) -> None:
        """Connect, and create or upgrade the schema; read-only, do neither."""
        await self.store.open(read_only=read_only)

    async def run(self, unit: Unit[T], *, may_wait: bool = True) -> T:
        """Run a unit of work in one transaction, and return its result."""
        return await self.store.run(unit, may_wait=may_wait)

    async def read(self, unit: Unit[T]) -> T:
        """Run a unit of work that changes nothing."""
        return await self.store.read(unit)

    async def load(self, layout: Layout, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the packed rows of those packed keys that have one.

        Raises:
            LogCorrupted: there are others among them.
        """
        began = self._telemetry.began()
        rows = await self.store.load(layout, keys)
        self._check_asked_for(layout, keys, rows)
        if began is not None:
            self._telemetry.emit(ViewLoaded(self._telemetry.since(began), len(keys), len(rows), layout.table))
        return rows

    async def preview(self, writes: Sequence[Write], layout: Layout, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return what `load` would after these writes, of which nothing is kept.

        Raises as `load` and `commit` do.
        """
        rows = await self.store.preview(writes, layout, keys)
        self._check_asked_for(layout, keys, rows)
        return rows

    async def select(self, statement: Any) -> list[Any]:
        """Run a SQLAlchemy Core statement that changes nothing, and return its rows."""
        began = self._telemetry.began()
        rows = await self.store.select(statement)
        if began is not None:
            self._telemetry.emit(ViewSelected(self._telemetry.since(began), len(rows)))
        return rows

    async def commit(self, checkpoint: Checkpoint, writes: Sequence[Write] = ()) -> None:
        """Write rows and run statements, and move the follower's checkpoint, in one transaction.

        Raises:
            AssertionError: by this claim, the checkpoint was further on already, or what is parked is not the claim's.
            LogUnavailable, ValueRefused, LeaseLost: as the port says.
        """
        claim = checkpoint.claim
        segment = claim.follower, claim.segment
        self._check_goes_on(checkpoint, *self._stored.get(segment, (claim.fence, claim.position)))
        began = self._telemetry.began()
        try:
            await self.store.commit(checkpoint, writes)
        except Exception:
            if began is not None:
                self._telemetry.emit(_told(self._telemetry.since(began), checkpoint, None))
            raise
        self._stored[segment] = claim.fence, checkpoint.position
        if began is not None:
            self._telemetry.emit(_told(self._telemetry.since(began), checkpoint, writes))

    async def close(self) -> None:
        """Let go of the database."""
        await self.store.close()

    def _check_asked_for(self, layout: Layout, keys: Sequence[Any], rows: Sequence[tuple[Any, ...]]) -> None:
        parts, asked_for = len(layout.key_columns), set(keys)
        count = len(asked_for)
        asked_for.difference_update(
            [row[0] for row in rows] if layout.composite is None else [row[:parts] for row in rows]
        )
        # Each row has taken away the key that it was asked for by, if it is one of them and comes once.
        if count - len(asked_for) != len(rows):
            raise LogCorrupted(
                f"{self.name} gave {len(rows)} rows of {layout.table} for {len(keys)} keys, others among them or one twice. "
                "Its adapter is at fault: `twofold.testing.ViewConformance` tells where."
            )

    def _check_goes_on(self, checkpoint: Checkpoint, fence: int, position: int) -> None:
        claim = checkpoint.claim
        if claim.fence == fence and checkpoint.position < position:
            raise AssertionError(f"{claim.follower} was at {position}, and is to be stored at {checkpoint.position}")
        for parked in checkpoint.parked:
            if parked.follower != claim.follower or not claim.segment.owns(parked.key):
                raise AssertionError(
                    f"{claim.follower} parks {parked.key!r} of {parked.follower}, which is not its own"
                )


def _told(seconds: float, checkpoint: Checkpoint, writes: Sequence[Write] | None) -> ViewCommitted:
    """Return what there is to tell of a commit; ``writes`` is None if it failed."""
    changes = [write for write in writes or () if isinstance(write, TableChange)]
    return ViewCommitted(
        seconds=seconds,
        rows=sum(len(change.puts) + len(change.deletes) for change in changes),
        parked_events=len(checkpoint.parked),
        follower=checkpoint.claim.follower,
        outcome="failed" if writes is None else "stored",
    )
