"""Faults planted in functions of Twofold, each as somebody might write it: simulations have to find every one of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import pytest

from twofold.adapters.sqlite.views import SqliteViews
from twofold.commands import handler
from twofold.commands.snapshots import Snapshots
from twofold.commands.states import CachedState, Known, StateCache
from twofold.errors import LeaseLost
from twofold.followers import Checkpoint, Claim, PositionWaiter, Segment, checkpoints, division
from twofold.followers.session import Fetch, Steps
from twofold.log import Guard, Log, RecordedEvent, Ticket
from twofold.log.following import Head
from twofold.messaging import BrokerTransport, Delivery, InboxHandler, Published, RelayHandler, Resequencer
from twofold.views import ViewHandler, Write, replacing

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


def snapshot_taken_for_now(patch: pytest.MonkeyPatch) -> None:
    """A snapshot is taken for what the log has by now, and what came after it is not folded."""
    load = Snapshots.load

    async def load_for_now(self: Snapshots, fold: Any, key: Any) -> tuple[int, Any] | None:
        loaded = await load(self, fold, key)
        return loaded and (max(loaded[0], self._log.known_head), loaded[1])

    patch.setattr(Snapshots, "load", load_for_now)


def park_lost(patch: pytest.MonkeyPatch) -> None:
    """What is set aside is forgotten."""
    advance = checkpoints.advance

    def forgetful(checkpoint: Checkpoint) -> Steps[None]:
        return advance(Checkpoint(checkpoint.claim, checkpoint.position, (), checkpoint.unparked))

    patch.setattr("twofold.adapters.sqlite.views.advance", forgetful)


def parked_key_goes_on(patch: pytest.MonkeyPatch) -> None:
    """Of a key that is parked, later events are handled as they come."""
    patch.setattr(ViewHandler, "_held", _held)


def _held(self: Any, blocked: Any, key: str, position: int) -> Any:
    block = blocked.get(key)
    return block.park(self.name, key, position, self._clock.now_us()) if block and position == block.since else None


def receipt_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    """A query is answered from what is there."""
    patch.setattr(PositionWaiter, "reach", lambda self, name, position, timeout_seconds: _true())


def merged_at_the_foremost(patch: pytest.MonkeyPatch) -> None:
    """Segments are merged where the foremost of them is, though others are behind."""

    def merge(follower: str, segments: Sequence[Claim]) -> list[Claim]:
        foremost = max(each.position for each in segments)
        return [Claim(follower, Segment(), foremost, 1 + max(each.fence for each in segments))]

    patch.setattr(division, "merge", merge)


def shadow_takes_over_early(patch: pytest.MonkeyPatch) -> None:
    """A view that is being rebuilt answers before it has caught up with the one in whose place it comes."""

    def is_behind(follower: str) -> Steps[bool]:
        yield Fetch("is_behind", (follower, follower))
        return False

    patch.setattr(replacing, "_is_behind", is_behind)


def heard_before_it_is_recorded(patch: pytest.MonkeyPatch) -> None:
    """The inbox moves its checkpoint, and then records what it has heard."""

    async def apply(self: InboxHandler, events: Sequence[Published], position: int, blocked: Any) -> None:
        await self._store.commit(Checkpoint(self._claim, position))
        await self._record(events)

    patch.setattr(InboxHandler, "apply", apply)


def told_before_it_is_published(patch: pytest.MonkeyPatch) -> None:
    """The relay moves its checkpoint, and then publishes."""

    async def apply(self: RelayHandler, events: Sequence[RecordedEvent], position: int, blocked: Any) -> None:
        await self._store.commit(Checkpoint(self._claim, position))
        await self._deliveries.publish(self._outbox.delivery(events, position, self._position))
        self._position = position

    patch.setattr(RelayHandler, "apply", apply)


def handed_on_as_it_comes(patch: pytest.MonkeyPatch) -> None:
    """What a broker brings goes on at once, whatever belongs before it."""
    patch.setattr(Resequencer, "add", Resequencer._append)


def settled_before_it_is_recorded(patch: pytest.MonkeyPatch) -> None:
    """The broker is told that it need not bring again what nobody has recorded yet."""

    async def subscribe(self: Any, group: str, source: str, after: int) -> AsyncGenerator[Delivery, None]:
        async with self._broker.incoming(group, source) as incoming:
            waiting = Resequencer[Any](source, after)
            while True:
                for message in await incoming.receive(500, 1.0):
                    await self._add(waiting, incoming, message)
                if taken := waiting.take():
                    await incoming.settle(taken.tokens)
                    yield taken.delivery

    patch.setattr(BrokerTransport, "subscribe", subscribe)


def commits_overtake(patch: pytest.MonkeyPatch) -> None:
    """What is heard is recorded behind a commit that has failed as if that had not."""
    patch.setattr(Ticket, "is_lost", False)


OF_ONE_SERVICE: list[Plant] = [
    guard_left_out,
    fence_not_checked,
    checkpoint_before_the_effect,
    state_folded_twice,
    conflict_believed,
    receipt_before_the_commit,
    ids_not_kept,
    head_not_polled,
    snapshot_taken_for_now,
    park_lost,
    parked_key_goes_on,
    receipt_not_waited_for,
    merged_at_the_foremost,
    shadow_takes_over_early,
]
"""Those that a bank of one service has to show."""

BETWEEN_SERVICES: list[Plant] = [
    heard_before_it_is_recorded,
    told_before_it_is_published,
    handed_on_as_it_comes,
    settled_before_it_is_recorded,
    commits_overtake,
]
"""Those that take two services which hear of each other."""
