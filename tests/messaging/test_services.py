"""What two services of one system tell each other: across restarts, in whatever state it comes, and with receipts."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, cast

import msgspec
import pytest

from tests.messaging.service_pair import Count, Demand, DemandFor, ItemId, Sell, SoldAtTill, both, buying, till
from twofold import Event, Receipt, Service, System, View, evolve
from twofold.adapters.memory import MemoryStore
from twofold.clock import SystemClock
from twofold.errors import DeclarationError, FutureReceipt, InvalidReceipt, LogUnavailable, ReceiptTimeout, ValueRefused
from twofold.followers import Checkpoint, Claim, Segment, parking
from twofold.limits import LogLimits
from twofold.log import Append, Log, NewEvent
from twofold.messaging import InboxHandler, Published
from twofold.service import Settings, start


def files(folder: Path, name: str) -> Settings:
    return Settings(log=f"sqlite:///{folder}/{name}.db", views=f"sqlite:///{folder}/{name}-views.db")


def all_files(folder: Path) -> dict[str, Settings]:
    return {name: files(folder, name) for name in both.services}


def test_receipts_travel_even_those_of_what_nobody_hears(tmp_path: Path) -> None:
    """A receipt of one service is good for a question to another, whether what it stands for was published or not."""

    async def scenario() -> None:
        async with both.run(all_files(tmp_path)) as running:
            for n in range(1, 51):
                receipt = await running["till"].send(Sell(item="tea", units=n))
                demand = await running["buying"].ask(DemandFor(item="tea"), after=receipt)
                assert demand == Demand(key="tea", sales=n, units=sum(range(n + 1)))
            unheard = await running["till"].send(Count(item="tea"))
            assert await running["buying"].ask(DemandFor(item="tea"), after=unheard) == demand

    asyncio.run(scenario())


def test_an_id_that_is_none_is_refused_before_a_receipt_is_waited_for(tmp_path: Path) -> None:
    """Who watches again with an id that no update had is told that, whatever else the question waits for."""

    async def scenario() -> None:
        async with both.run(all_files(tmp_path)) as running:
            with pytest.raises(InvalidReceipt, match="not the id of an update"):
                await running["buying"].subscribe(
                    DemandFor(item="tea"), after=Receipt("till", 1000), since="nonsense", timeout_seconds=0
                )

    asyncio.run(scenario())


def test_what_was_not_settled_is_delivered_to_the_next_process(tmp_path: Path) -> None:
    """Each side may end at any time: the relay begins again where it was, and the inbox knows what it has."""

    async def scenario() -> None:
        last = Receipt("till", 0)
        for _ in range(5):
            async with both.run(all_files(tmp_path)) as running:
                for _ in range(20):
                    last = await running["till"].send(Sell(item="tea"))
        async with both.run(all_files(tmp_path)) as running:
            demand = await running["buying"].ask(DemandFor(item="tea"), after=last)
            assert demand == Demand(key="tea", sales=100, units=100)
            assert await running["buying"].log.head() == 100

    asyncio.run(scenario())


def test_an_event_that_does_not_fit_is_recorded_as_it_came_and_parked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is loud, it blocks nobody, and nothing of it is lost."""

    async def scenario() -> None:
        async with both.run(all_files(tmp_path)) as running:
            odd = NewEvent("odd", "Sold", 1, ("item:tea",), b'{"item":"tea","units":"many"}')
            await running["till"].log.append([odd])
            last = await running["till"].send(Sell(item="rice"))
            demand = await running["buying"].ask(DemandFor(item="rice"), after=last)
            assert demand == Demand(key="rice", sales=1, units=1)
            first = (await running["buying"].log.read())[0]
            assert (first.type, first.data, first.tags) == ("till.Sold", odd.data, ())
            assert [each.key for each in await parking.parked(running["buying"].views)] == [""]
            assert "does not fit" in caplog.text

    asyncio.run(scenario())


class RefusingStore(MemoryStore):
    """Refuses a value in an event's data, as a database may for a reason of its own."""

    async def write(self, batch: Sequence[Append], *arguments: Any, **options: Any) -> Any:
        if any(b"unwanted" in event.data for append in batch for event in append.events):
            raise ValueRefused("The database does not take 'unwanted'.")
        return await super().write(batch, *arguments, **options)


@pytest.mark.parametrize(
    ("version", "data", "reason"),
    [
        pytest.param(1 << 31, b'{"item":"tea","units":1}', "An event's version is a whole number", id="by-every-log"),
        pytest.param(1, b'{"item":"unwanted","units":1}', "does not take 'unwanted'", id="by-this-database"),
    ],
)
def test_an_event_that_the_log_refuses_is_left_out_with_one_error_and_the_others_are_heard(
    version: int, data: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It would be refused again for ever, so it holds up nobody: not those before it in the delivery, nor those after it."""
    delivered = [foreign(1), foreign(2, version, data), foreign(3)]

    async def scenario() -> None:
        log = await Log.open(RefusingStore(), SystemClock())
        store = CommitsOnly()
        handler = InboxHandler(
            "buying", "till", [SoldAtTill], log, cast("Any", store), cast("Any", None), SystemClock()
        )
        await handler.start(Claim("inbox:till", Segment(), 0, 1))
        await handler.apply(delivered, 3, {})
        assert [each.metadata.source_id for each in await log.read()] == ["event-1", "event-3"]
        assert store.positions == [3]
        await log.close()

    asyncio.run(scenario())
    (error,) = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert "till has published event event-2, of type Sold, at position 2" in error
    assert reason in error


class FailingOnce(MemoryStore):
    """Is away for its first commit."""

    has_failed = False

    async def write(self, batch: Sequence[Append], *arguments: Any, **options: Any) -> Any:
        if not self.has_failed:
            self.has_failed = True
            raise LogUnavailable("The server does not answer: nothing was stored.")
        return await super().write(batch, *arguments, **options)


def test_what_is_heard_stays_in_order_where_only_the_first_of_several_commits_fails() -> None:
    """A delivery may need several: later events of a key must not be recorded while earlier ones still have to be."""

    async def scenario() -> list[str]:
        log = await Log.open(FailingOnce(), SystemClock(), LogLimits(commit_events=2))
        handler = InboxHandler(
            "buying", "till", [SoldAtTill], log, cast("Any", CommitsOnly()), cast("Any", None), SystemClock()
        )
        await handler.start(Claim("inbox:till", Segment(), 0, 1))
        delivered = [foreign(number) for number in range(1, 8)]
        with pytest.raises(LogUnavailable):
            await handler.apply(delivered, 7, {})
        await handler.apply(delivered, 7, {})
        found = [each.metadata.source_id for each in await log.read()]
        await log.close()
        return found

    assert asyncio.run(scenario()) == [f"event-{number}" for number in range(1, 8)]


def foreign(number: int, version: int = 1, data: bytes = b'{"item":"tea","units":1}') -> Published:
    return Published(f"event-{number}", "till", "Sold", version, "item:tea", number, 0, msgspec.Raw(data))


class CommitsOnly:
    """Where a follower's position is kept, and nothing else is."""

    def __init__(self) -> None:
        self.positions: list[int] = []

    async def commit(self, checkpoint: Checkpoint) -> None:
        self.positions.append(checkpoint.position)


def test_receipts_that_cannot_be_waited_for_are_errors_that_say_why(tmp_path: Path) -> None:
    """From another log, of a service that is not heard, or beyond what the follower will reach in time."""

    async def scenario() -> None:
        async with start(buying.declaration, files(tmp_path, "buying")) as running:
            with pytest.raises(FutureReceipt, match=r"buying@5 is beyond the log of buying, which ends at 0"):
                await running.ask(DemandFor(item="tea"), after=Receipt("buying", 5))
            for text in ("buying@5", ["buying@5"]):
                with pytest.raises(
                    InvalidReceipt, match=r"'buying@5' is no receipt\. .*`twofold\.messages\.parse_receipts`"
                ):
                    await running.ask(DemandFor(item="tea"), after=text)  # type: ignore[arg-type]
            with pytest.raises(InvalidReceipt, match="hears nothing from it"):
                await running.ask(DemandFor(item="tea"), after=Receipt("bakery", 5))
            with pytest.raises(ReceiptTimeout, match=r"inbox:till is at position 0 and not yet at 5"):
                await running.ask(DemandFor(item="tea"), after=Receipt("till", 5), timeout_seconds=0.05)

    asyncio.run(scenario())


def test_subscribing_to_what_nobody_publishes_is_found_when_the_system_is_declared() -> None:
    """A wrong name would otherwise be silence, for ever."""

    class Misspelt(Event, name="Slod", source="till"):
        item: ItemId

    class Never(View, key=ItemId):
        @evolve
        def heard(self, event: Misspelt) -> Self:
            return self

    with pytest.raises(DeclarationError, match=r"till does not publish Slod"):
        System(till, Service("deaf", views=[Never], subscribes=[Misspelt]))
