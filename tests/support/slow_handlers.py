"""What becomes of events whose handling takes long: one suite for services on every database."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from examples.bank import Account, Deposit, Deposited
from tests.support.handled_events import FOLLOWER, Places
from tests.support.waiting import until
from twofold import HandlerContext, Service, handle
from twofold.errors import LogUnavailable
from twofold.followers import parking, retries
from twofold.limits import HandlerLimits, Limits
from twofold.service import Running
from twofold.testing import settled


class Gates:
    """Something outside that answers about an account once its gate is open; those that are named are shut at first."""

    def __init__(self, *shut: str) -> None:
        self.gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.shut = {*shut}
        self.begun: list[tuple[str, int]] = []
        self.done: list[tuple[str, int]] = []
        self.fails: set[str] = set()

    async def call(self, event: Deposited) -> None:
        self.begun.append((event.account, event.amount))
        if event.account in self.shut:
            await self.gates[event.account].wait()
        if event.account in self.fails:
            raise OSError("no answer")
        self.done.append((event.account, event.amount))

    async def has(self, *done: tuple[str, int]) -> None:
        """Return once all of these are done."""

        async def are_done() -> bool:
            return {*done} <= {*self.done}

        await until(are_done)

    async def has_begun(self, event: tuple[str, int]) -> None:
        """Return once this has been begun."""

        async def is_begun() -> bool:
            return event in self.begun

        await until(is_begun)


@handle(start="first", policy=retries(immediate=0, delays_seconds=[]))
async def tell(event: Deposited, gates: Gates, context: HandlerContext) -> None:
    await gates.call(event)


class SlowHandlers:
    """Derive a class from it whose module has a fixture ``places``."""

    @pytest.fixture
    def start(self, places: Places) -> Callable[..., AbstractAsyncContextManager[Running]]:
        """Return what runs a bank whose deposits are told, on the same databases each time."""

        @asynccontextmanager
        async def run(gates: Gates, **limits: Any) -> AsyncIterator[Running]:
            @asynccontextmanager
            async def opened() -> AsyncIterator[Gates]:
                yield gates

            service = Service("bank", aggregates=[Account], handlers=[tell], resources={Gates: opened})
            handlers = HandlerLimits(slow_seconds=0.05, finishing_seconds=0.1, **limits)
            async with service.run(replace(places("bank"), limits=Limits(handlers=handlers))) as running:
                yield running

        return run

    def test_what_takes_long_holds_up_its_own_key_alone(self, start: Any) -> None:
        """Events that come later are handled meanwhile, and those of its key after it, in order, each once."""

        async def scenario() -> None:
            gates = Gates("ann")
            async with start(gates) as running:
                await running.send(Deposit(account="ann", amount=1))
                await gates.has_begun(("ann", 1))
                for amount in (1, 2, 3):
                    await running.send(Deposit(account="bob", amount=amount))
                    await running.send(Deposit(account="ann", amount=amount + 1))
                    await gates.has(("bob", amount))
                assert [each for each in gates.begun if each[0] == "ann"] == [("ann", 1)]
                gates.shut.clear()
                gates.gates["ann"].set()
                await settled(running)
                assert [each for each in gates.begun if each[0] == "ann"] == [("ann", n) for n in (1, 2, 3, 4)]
                assert gates.done.count(("bob", 1)) == 1
                assert await parking.parked(running.views, FOLLOWER) == []
                await running.send(Deposit(account="ann", amount=5))
                await gates.has(("ann", 5))

        asyncio.run(scenario())

    def test_what_takes_long_and_fails_is_parked(self, start: Any) -> None:
        """With what came after it, as if it had failed at once."""

        async def scenario() -> None:
            gates = Gates("ann")
            gates.fails.add("ann")
            async with start(gates) as running:
                for amount in (1, 2):
                    await running.send(Deposit(account="ann", amount=amount))
                await running.send(Deposit(account="bob", amount=1))
                await running.send(Deposit(account="cem", amount=1))
                await gates.has(("bob", 1), ("cem", 1))
                gates.gates["ann"].set()

                async def is_parked() -> bool:
                    found = await parking.parked(running.views, FOLLOWER)
                    return [bool(each.error) for each in found] == [True, False]

                await until(is_parked)
                assert [each for each in gates.begun if each[0] == "ann"] == [("ann", 1)]

        asyncio.run(scenario())

    def test_what_is_cut_off_at_the_end_is_handled_by_the_next_process(self, start: Any) -> None:
        """And what was done beside it meanwhile is not done again."""

        async def scenario() -> None:
            first, second = Gates("ann"), Gates()
            async with start(first) as running:
                for account in ("ann", "bob"):
                    await running.send(Deposit(account=account, amount=1))
                await first.has(("bob", 1))
                await running.send(Deposit(account="cem", amount=1))
                await first.has(("cem", 1))
            async with start(second) as running:
                await settled(running)
            assert first.done == [("bob", 1), ("cem", 1)]
            assert second.done == [("ann", 1)]

        asyncio.run(scenario())

    def test_nothing_is_passed_by_where_that_it_takes_long_cannot_be_stored(self, start: Any) -> None:
        """The follower begins again, and each event is handled, whatever of the claim before has still to come to its end."""

        async def scenario() -> None:
            gates = Gates("ann")
            async with start(gates) as running:
                views: Any = running.views
                commit, failures = views.commit, [0]

                async def fails_at_times(checkpoint: Any, writes: Any = ()) -> None:
                    if checkpoint.claim.follower == FOLLOWER and checkpoint.parked and failures[0] < 3:
                        failures[0] += 1
                        raise LogUnavailable("The disk is away.")
                    await commit(checkpoint, writes)

                views.commit = fails_at_times
                for amount in range(1, 6):
                    await running.send(Deposit(account="ann", amount=amount))
                    await running.send(Deposit(account="bob", amount=amount))

                async def have_failed() -> bool:
                    return failures == [3]

                await until(have_failed)
                for amount in range(6, 9):
                    await running.send(Deposit(account="bob", amount=amount))
                gates.shut.clear()
                gates.gates["ann"].set()
                await settled(running)
                assert {*gates.done} == {("ann", n) for n in range(1, 6)} | {("bob", n) for n in range(1, 9)}

        asyncio.run(scenario())

    def test_no_more_take_long_than_may_be_worked_for_at_once(self, start: Any) -> None:
        """Where all turns are taken, the next batch waits: somebody else's API is not called for all that there is."""

        async def scenario() -> None:
            gates = Gates("a0", "a1", "a2", "a3", "a4", "a5")
            async with start(gates, concurrent_keys=3, batch_events=2) as running:
                for number in range(6):
                    await running.send(Deposit(account=f"a{number}", amount=1))
                await gates.has_begun(("a2", 1))
                assert len(gates.begun) == 3
                gates.shut.clear()
                for gate in [*gates.gates.values()]:
                    gate.set()
                await settled(running)
                assert sorted(gates.done) == [(f"a{number}", 1) for number in range(6)]

        asyncio.run(scenario())

    def test_retries_that_fail_hold_up_nothing_that_is_new(self, places: Places) -> None:
        """That many of them fail in a row looks like an outage; what would succeed is tried, and shows that it is none."""

        @handle(start="first", policy=retries(immediate=0, delays_seconds=[0.2] * 50))
        async def stubborn(event: Deposited, gates: Gates) -> None:
            await gates.call(event)

        async def scenario() -> None:
            gates = Gates()
            gates.fails |= {f"a{number}" for number in range(8)}

            @asynccontextmanager
            async def opened() -> AsyncIterator[Gates]:
                yield gates

            service = Service("bank", aggregates=[Account], handlers=[stubborn], resources={Gates: opened})
            handlers = HandlerLimits(outage_keys=3, longest_probe_seconds=0.3)
            async with service.run(replace(places("bank"), limits=Limits(handlers=handlers))) as running:
                for number in range(8):
                    await running.send(Deposit(account=f"a{number}", amount=1))
                    await running.send(Deposit(account=f"b{number}", amount=1))
                await gates.has(*[(f"b{number}", 1) for number in range(8)])
                for number in range(8):
                    await gates.has_begun((f"a{number}", 1))
                for amount in (2, 3):
                    await running.send(Deposit(account="b0", amount=amount))
                    await gates.has(("b0", amount))
                gates.fails.clear()
                await gates.has(*[(f"a{number}", 1) for number in range(8)])

        asyncio.run(scenario())
