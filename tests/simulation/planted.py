"""Faults planted in functions of Twofold, each as somebody might write it: simulations have to find every one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from twofold.adapters.sqlite.views import SqliteViews
from twofold.commands import handler
from twofold.commands.states import CachedState, Known, StateCache
from twofold.errors import LeaseLost
from twofold.followers import Checkpoint, checkpoints
from twofold.followers.session import Steps
from twofold.log import Guard, Log, Ticket
from twofold.log.following import Head
from twofold.views import Write

Plant = Callable[[pytest.MonkeyPatch], None]


def guard_left_out(patch: pytest.MonkeyPatch) -> None:
    """A decision over several states guards the first of them alone."""
    submit = Log.submit_recorded

    def submit_recorded(self: Log, recorded: Any, guards: Sequence[Guard], id: str, digest: bytes) -> Ticket:
        return submit(self, recorded, guards[:1], id, digest)

    patch.setattr(Log, "submit_recorded", submit_recorded)


def fence_not_checked(patch: pytest.MonkeyPatch) -> None:
    """Who has lost a segment goes on writing its rows."""
    advance = checkpoints.advance

    def unchecked(checkpoint: Checkpoint) -> Steps[None]:
        try:
            yield from advance(checkpoint)
        except LeaseLost:
            return

    patch.setattr("twofold.adapters.sqlite.views.advance", unchecked)


def checkpoint_before_the_effect(patch: pytest.MonkeyPatch) -> None:
    """The checkpoint is stored by one transaction, and the rows by the next one."""
    commit = SqliteViews.commit

    async def in_two(self: SqliteViews, checkpoint: Checkpoint, writes: Sequence[Write] = ()) -> None:
        await commit(self, checkpoint, ())
        if writes:
            await commit(self, Checkpoint(checkpoint.claim, checkpoint.position), writes)

    patch.setattr(SqliteViews, "commit", in_two)


def state_folded_twice(patch: pytest.MonkeyPatch) -> None:
    """Catching up folds what was read onto the state as it is by then, and not as it was before reading."""

    async def load(self: StateCache, cached: CachedState[Any]) -> None:
        async with cached.loading:
            if cached.stale:
                events = await self._log.history(cached.criteria, cached.known.position)
                if events:
                    state = cached.fold.replay(cached.known.state, events)
                    cached.known = Known(max(events[-1].position, cached.known.position), state)
                cached.refresh(cached.known)

    patch.setattr(StateCache, "load", load)


def conflict_believed(patch: pytest.MonkeyPatch) -> None:
    """After a conflict a state is not read again, so what is refused is refused on what is not so any more."""
    patch.setattr(StateCache, "is_current", lambda self, basis, position, until=None: _true())


async def _true() -> bool:
    return True


def receipt_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    """A sender is told where its events will be, once they are queued."""
    append = handler.CommandHandler._append

    async def hasty(self: handler.CommandHandler, decided: Any, content: Any) -> int | None:
        appending = asyncio.ensure_future(append(self, decided, content))
        appending.add_done_callback(lambda done: done.cancelled() or done.exception())
        return self._log.known_head + len(decided.events)

    patch.setattr(handler.CommandHandler, "_append", hasty)


def ids_not_kept(patch: pytest.MonkeyPatch) -> None:
    """What is sent again is done again."""
    submit = Log.submit_recorded

    def submit_recorded(self: Log, recorded: Any, guards: Any, id: str, digest: bytes) -> Ticket:
        return submit(self, recorded, guards, "", b"")

    patch.setattr(Log, "submit_recorded", submit_recorded)


def head_not_polled(patch: pytest.MonkeyPatch) -> None:
    """Whoever waits for news relies on being woken."""
    find = Head.find

    async def changed_first(self: Head) -> None:
        while True:
            await self._store.changed(1_000_000.0)
            await find(self)

    patch.setattr(Head, "_watch", changed_first)


PLANTED: list[Plant] = [
    guard_left_out,
    fence_not_checked,
    checkpoint_before_the_effect,
    state_folded_twice,
    conflict_believed,
    receipt_before_the_commit,
    ids_not_kept,
    head_not_polled,
]
