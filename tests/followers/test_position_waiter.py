"""Waiting for a follower to reach a position: by being told and by asking, and never for longer than was said."""

import asyncio
from contextlib import suppress

import pytest

from twofold.errors import ReceiptTimeout
from twofold.followers import PositionWaiter


class Follower:
    """A follower that only its database knows of, as one in another process."""

    def __init__(self, position: int = 0) -> None:
        self.position = position
        self.asked = 0

    async def ask(self, name: str) -> int:
        self.asked += 1
        await asyncio.sleep(0)
        return self.position


def test_who_is_told_need_not_ask() -> None:
    """What this process follows itself is known without a database."""

    async def scenario() -> None:
        follower = Follower()
        waiter = PositionWaiter(follower.ask)
        waiter.advance("words", 5)
        await waiter.reach("words", 5, 0)
        assert follower.asked == 0

    asyncio.run(scenario())


def test_what_this_process_follows_is_waited_for_before_it_is_asked() -> None:
    """It tells by itself, and the question would take longer; if it keeps quiet after all, it is asked."""

    async def scenario() -> None:
        follower = Follower()
        waiter = PositionWaiter(follower.ask)
        waiter.advance("words", 3)
        told = asyncio.create_task(waiter.reach("words", 5, 30))
        for position in (4, 5):
            await asyncio.sleep(0)
            waiter.advance("words", position)
        await told
        assert follower.asked == 0
        follower.position = 6
        await waiter.reach("words", 6, 30)
        assert follower.asked == 1

    asyncio.run(scenario())


def test_a_move_while_it_is_asked_is_not_missed() -> None:
    """Told between the question and its answer, the waiting ends, without another look."""

    async def scenario() -> None:
        asked = 0

        async def ask(name: str) -> int:
            nonlocal asked
            asked += 1
            waiter.advance("words", 5)
            return 0

        waiter = PositionWaiter(ask)
        await waiter.reach("words", 5, 30)
        assert asked == 1

    asyncio.run(scenario())


def test_a_follower_of_another_process_is_asked_until_it_is_there() -> None:
    """Nobody tells of it; and those who waited leave nothing behind, however often they looked."""

    async def scenario() -> None:
        follower = Follower()
        waiter = PositionWaiter(follower.ask)
        waiting = [asyncio.create_task(waiter.reach("words", 5, 30)) for _ in range(3)]
        while follower.asked < 12:
            await asyncio.sleep(0.001)
        assert sum(map(len, waiter._waiting.values())) <= 3
        follower.position = 5
        await asyncio.gather(*waiting)
        assert sum(map(len, waiter._waiting.values())) == 0

    asyncio.run(scenario())


def test_waiting_ends_with_where_the_follower_is() -> None:
    """An operator reads how far it was, and where to look."""

    async def scenario() -> None:
        waiter = PositionWaiter(Follower(3).ask)
        with pytest.raises(
            ReceiptTimeout, match=r"words is at position 3 and not yet at 5 after 0\.01 seconds.*parked"
        ):
            await waiter.reach("words", 5, 0.01)

    asyncio.run(scenario())


def test_who_does_not_wait_at_all_still_looks() -> None:
    """No patience means now, and now it may be there."""
    asyncio.run(PositionWaiter(Follower(5).ask).reach("words", 5, 0))


def test_a_follower_that_was_taken_over_is_asked_again() -> None:
    """What this process last knew of it is no longer true: it may have been rewound since."""

    async def scenario() -> None:
        follower = Follower(0)
        waiter = PositionWaiter(follower.ask)
        waiter.advance("words", 5)
        waiter.advance("words", 0)
        with pytest.raises(ReceiptTimeout):
            await waiter.reach("words", 5, 0.01)

    asyncio.run(scenario())


def test_who_gives_up_waiting_is_not_told() -> None:
    """A cancelled question takes nothing with it, and the others hear of the advance."""

    async def scenario() -> None:
        waiter = PositionWaiter(Follower().ask)
        gone, stays = (asyncio.create_task(waiter.reach("words", 5, 30)) for _ in range(2))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone
        waiter.advance("words", 5)
        await stays

    asyncio.run(scenario())
