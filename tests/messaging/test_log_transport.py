"""The transport of a system: its services follow each other's logs, in as many processes as run it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.messaging.pull_transport import Appending, Ordered
from tests.messaging.service_pair import Count, Demand, DemandFor, Sell, both, buying, till
from tests.support.waiting import until
from twofold import System
from twofold.adapters.memory import MemoryStore
from twofold.clock import SystemClock
from twofold.errors import LogCorrupted, SettingsError
from twofold.log import Log
from twofold.messaging import LogTransport, Outbox
from twofold.processes import CommandSent, addressee
from twofold.service import Running, Settings
from twofold.testing import TransportConformance
from twofold.testing.transport_conformance import SOURCE


class TestLogTransport(TransportConformance):
    @pytest.fixture
    def exchanges(self) -> Any:
        @asynccontextmanager
        async def exchange() -> AsyncIterator[Appending]:
            log = await Log.open(MemoryStore(), SystemClock())
            yield Appending(log, LogTransport({SOURCE: Outbox(SOURCE, [Ordered, CommandSent], log, addressee)}))
            await log.close()

        return exchange


def settings(folder: Path) -> dict[str, Settings]:
    return {
        name: Settings(log=f"sqlite:///{folder}/{name}.db", views=f"sqlite:///{folder}/{name}-views.db")
        for name in both.services
    }


@asynccontextmanager
async def several(folder: Path, count: int) -> AsyncIterator[list[dict[str, Running]]]:
    """Run the system so many times on the same databases, as several processes do."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(both.run(settings(folder))) for _ in range(count)]


def test_any_process_may_send_and_any_may_be_asked(tmp_path: Path) -> None:
    """Whichever follows the inbox and whichever the view, a receipt of one is good for a question to another."""

    async def scenario() -> None:
        async with several(tmp_path, 3) as systems:
            for n in range(1, 31):
                sending, asked = systems[n % 3], systems[(n + 1) % 3]
                receipt = await sending["till"].send(Sell(item="tea", units=n))
                demand = await asked["buying"].ask(DemandFor(item="tea"), after=receipt, timeout_seconds=30)
                assert demand == Demand(key="tea", sales=n, units=sum(range(n + 1)))
            unheard = await systems[0]["till"].send(Count(item="tea"))
            found = await systems[1]["buying"].ask(DemandFor(item="tea"), after=unheard, timeout_seconds=30)
            assert found == demand

    asyncio.run(scenario())


def test_when_the_process_that_hears_ends_another_one_goes_on(tmp_path: Path) -> None:
    """What was sent meanwhile is heard too, and nothing twice."""

    async def scenario() -> None:
        async with both.run(settings(tmp_path)) as first:
            receipt = await first["till"].send(Sell(item="tea"))
            await first["buying"].ask(DemandFor(item="tea"), after=receipt)
            async with AsyncExitStack() as stack:
                second = await stack.enter_async_context(both.run(settings(tmp_path)))
                for _ in range(20):
                    receipt = await second["till"].send(Sell(item="tea"))
                await stack.aclose()
            for _ in range(20):
                receipt = await first["till"].send(Sell(item="tea"))
            demand = await first["buying"].ask(DemandFor(item="tea"), after=receipt, timeout_seconds=30)
            assert demand == Demand(key="tea", sales=41, units=41)
            assert await first["buying"].log.head() == 41

    asyncio.run(scenario())


def test_a_log_that_was_replaced_is_an_error_and_nothing_is_skipped(tmp_path: Path) -> None:
    """Who has heard more than the log has says so, and waits for the right one."""

    async def scenario() -> None:
        async with both.run(settings(tmp_path)) as running:
            receipt = await running["till"].send(Sell(item="tea"))
            await running["buying"].ask(DemandFor(item="tea"), after=receipt)
        lose(tmp_path / "till.db")
        async with both.run(settings(tmp_path)) as running:
            await until(lambda: fails(running["buying"]))
            reason = running["buying"].failing()["inbox:till"]
            assert "log of till ends at position 0, and buying has heard everything up to 1" in reason

    asyncio.run(scenario())


def lose(database: Path) -> None:
    for file in database.parent.glob(f"{database.name}*"):
        file.unlink()


async def fails(running: Running) -> bool:
    return bool(running.failing())


def test_a_subscription_to_a_log_that_was_replaced_is_an_error() -> None:
    """Said to whoever asks for the first delivery."""

    async def scenario() -> None:
        async with till.run(Settings(log="memory:", views="memory:")) as running:
            transport = LogTransport({"till": running.outbox})
            async with aclosing(transport.subscribe("buying", "till", 7)) as subscription:
                with pytest.raises(LogCorrupted, match="ends at position 0, and buying has heard everything up to 7"):
                    await anext(subscription)

    asyncio.run(scenario())


def test_a_source_that_is_nowhere_ends_the_start(tmp_path: Path) -> None:
    """A service that is not in the system is heard by a URL; without one the system would wait in silence."""

    async def scenario() -> None:
        async with System(buying).run(settings(tmp_path)):
            raise AssertionError

    with pytest.raises(SettingsError, match=r"hear of till.* TWOFOLD_BUYING_TRANSPORT=feed:till=http://127"):
        asyncio.run(scenario())


def test_a_system_ends_without_a_complaint(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No service's log is closed while another service still follows it."""

    async def scenario() -> None:
        for order in ((till, buying), (buying, till)):
            async with System(*order).run(settings(tmp_path)) as running:
                receipt = await running["till"].send(Sell(item="tea"))
                await running["buying"].ask(DemandFor(item="tea"), after=receipt)

    asyncio.run(scenario())
    complaints = [each.getMessage() for each in caplog.records if each.levelname != "INFO"]
    assert [each for each in complaints if "begins with an empty log" not in each] == []
