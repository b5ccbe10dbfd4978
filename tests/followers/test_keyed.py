"""Working through batches key by key, where it comes to its end in the middle."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.support.claims import claimed
from twofold.adapters.memory import MemoryStore
from twofold.adapters.memory.views import open_views
from twofold.clock import SystemClock
from twofold.followers import Checkpoint, KeyedHandler, Parked, checkpoints, retries
from twofold.limits import HandlerLimits, Limits
from twofold.log import Log, NewEvent, RecordedEvent


class Words(KeyedHandler):
    """Handles events by their types; what is about `bad` cannot be handled at all, and what is about `slow` takes for ever."""

    name = "words"
    criteria = ()

    def __init__(self, log: Log, store: object) -> None:
        super().__init__(log, store, SystemClock(), retries(), HandlerLimits(finishing_seconds=0.05))  # type: ignore[arg-type]
        self.handled: list[int] = []

    def keys(self, event: RecordedEvent) -> Sequence[str]:
        return [event.type]

    async def handle(self, event: RecordedEvent, key: str, attempt: int) -> None:
        if key == "bad":
            raise RuntimeError("this is no failure of an event")
        if key == "slow":
            await asyncio.Event().wait()
        self.handled.append(event.position)


def test_a_checkpoint_is_stored_also_where_all_ends_meanwhile() -> None:
    """What it is about is done, and would be done again by whoever goes on."""

    async def scenario() -> None:
        clock = SystemClock()
        log = await Log.open(MemoryStore(), clock)
        store = open_views("memory:", clock, Limits())
        await store.open()
        await log.append([NewEvent("id", "good", 1, (), b"{}")])
        claim = await claimed(store, "words")
        handler, storing, may_store = Words(log, store), asyncio.Event(), asyncio.Event()
        commit = handler.commit

        async def slowly(checkpoint: Checkpoint) -> None:
            storing.set()
            await may_store.wait()
            await commit(checkpoint)

        handler.commit = slowly  # type: ignore[method-assign]
        await handler.start(claim)
        applying = asyncio.create_task(handler.apply(await log.read(), 1, {}))
        await storing.wait()
        applying.cancel()
        asyncio.get_running_loop().call_soon(may_store.set)
        await asyncio.wait([applying])
        assert (handler.handled, await checkpoints.position(store, "words")) == ([1], 1)
        await store.close()
        await log.close()

    asyncio.run(scenario())


def test_a_batch_that_is_not_begun_is_not_passed_by() -> None:
    """A retry has ended everything, and a batch had its turn before anybody knew: what it has is handled by who goes on."""

    async def scenario() -> None:
        clock = SystemClock()
        log = await Log.open(MemoryStore(), clock)
        store = open_views("memory:", clock, Limits())
        await store.open()
        for number, word in enumerate(["bad", "slow", "good"]):
            await log.append([NewEvent(f"id-{number}", word, 1, (), b"{}")])
        events = await log.read()
        claim = await claimed(store, "words")
        parked = [Parked("words", key, position, "broken", 1, 5, 1) for position, key in enumerate(["bad", "slow"], 1)]
        await store.commit(Checkpoint(claim, 2, tuple(parked)))
        handler = Words(log, store)
        await handler.start(claim)
        await handler.apply([], 2, {})
        with pytest.raises(RuntimeError, match="no failure of an event"):
            await handler.retry(["bad", "slow"])
        with pytest.raises(Exception, match="words comes to its end"):
            await handler.apply(events[2:], 3, {})
        assert (handler.handled, await checkpoints.position(store, "words")) == ([], 2)
        await handler.start(await claimed(store, "words"))
        await handler.apply(events[2:], 3, {})
        assert (handler.handled, await checkpoints.position(store, "words")) == ([3], 3)
        await store.close()
        await log.close()

    asyncio.run(scenario())
