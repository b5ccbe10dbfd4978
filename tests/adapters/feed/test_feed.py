"""The transport without a broker: services follow each other's logs over HTTP, whichever is up."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.messaging.pull_transport import Appending, Ordered
from tests.messaging.service_pair import Count, Demand, DemandFor, Sell, buying, till
from twofold import Receipt, Service
from twofold.adapters.feed import FeedTransport, open_transport
from twofold.clock import SystemClock
from twofold.errors import LogCorrupted, ReceiptTimeout, SettingsError
from twofold.http import asgi, serve
from twofold.limits import FeedLimits, Limits
from twofold.processes import CommandSent
from twofold.service import Running, Settings, start
from twofold.testing import TransportConformance
from twofold.testing.transport_conformance import SOURCE

CLOCK = SystemClock()
MEMORY = Settings(log="memory:", views="memory:")


@asynccontextmanager
async def served(running: Running, port: int = 0) -> AsyncIterator[str]:
    """Serve a service for a block, and give its URL."""
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(asgi(running), port=port, ready=url.set_result))
    try:
        yield await url
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving


class TestFeed(TransportConformance):
    @pytest.fixture
    def exchanges(self) -> Any:
        @asynccontextmanager
        async def exchange() -> AsyncIterator[Appending]:
            service = Service(SOURCE)
            # What a service publishes it has to decide on; here the suite does that for it.
            declaration = type(service.declaration)(SOURCE, (), (), (), (), (Ordered, CommandSent), ())
            async with start(declaration, MEMORY) as running, served(running) as url:
                transport = FeedTransport({SOURCE: url}, CLOCK, FeedLimits(page_events=1))
                yield Appending(running.log, transport)
                await transport.close()

        return exchange


# Pages, positions, and what is not published.


def run(scenario: Callable[[Running, str], Any]) -> None:
    """Run a scenario with a till that is served from memory."""

    async def whole() -> None:
        async with till.run(MEMORY) as running, served(running) as url:
            await scenario(running, url)

    asyncio.run(whole())


def test_a_feed_is_read_page_by_page() -> None:
    """Everything, once and in order, however many pages it takes."""

    async def scenario(running: Running, url: str) -> None:
        await asyncio.gather(*[running.send(Sell(item=f"i{n % 7}")) for n in range(250)])
        await running.send(Count(item="i1"))
        transport = FeedTransport({"till": url}, CLOCK, FeedLimits(page_events=100))
        deliveries = []
        async with aclosing(transport.subscribe("buying", "till", 0)) as subscription:
            async for delivery in subscription:
                deliveries.append(delivery)
                if delivery.position == 251:
                    break
        await transport.close()
        assert [len(delivery.events) for delivery in deliveries] == [100, 100, 50]
        positions = [event.position for delivery in deliveries for event in delivery.events]
        assert positions == list(range(1, 251))

    run(scenario)


def test_only_what_is_published_is_in_the_feed_and_its_position_moves_all_the_same() -> None:
    """A receipt of the source is good for a question elsewhere, whatever its command led to."""

    async def scenario(running: Running, url: str) -> None:
        await running.send(Sell(item="tea", units=2))
        await running.send(Count(item="tea"))
        async with httpx.AsyncClient(base_url=url) as http:
            page = (await http.get("/feed")).json()
            assert [(each["type"], each["key"], each["data"]) for each in page["events"]] == [
                ("Sold", "item:tea", {"item": "tea", "units": 2})
            ]
            assert page["position"] == 2
            assert (await http.get("/feed?after=1")).json() == {
                "source": "till",
                "events": [],
                "position": 2,
                "after": 1,
            }
            assert (await http.get("/feed?after=1&wait=30")).json()["position"] == 2
            assert (await http.get("/feed?limit=1")).json()["position"] == 1

    run(scenario)


def test_a_reader_waits_for_news_and_gets_them_at_once() -> None:
    """The request is there before the event; who goes away meanwhile leaves nothing behind."""

    async def scenario(running: Running, url: str) -> None:
        async with httpx.AsyncClient(base_url=url) as http:
            for _ in range(3):
                with pytest.raises(httpx.ReadTimeout):
                    await http.get("/feed?wait=30", timeout=httpx.Timeout(30, read=0.1))
            polling = asyncio.create_task(http.get("/feed?wait=30", timeout=60))
            await asyncio.sleep(0.05)
            assert not polling.done()
            await running.send(Sell(item="tea"))
            assert len((await polling).json()["events"]) == 1

    run(scenario)


@pytest.mark.parametrize(
    "parameters", ["after=-1", "after=x", "limit=0", "limit=1001", "wait=31", "wait=1.5", "after=٣"]
)
def test_a_wrong_parameter_of_the_feed_is_named(parameters: str) -> None:
    """With what it may be."""

    async def scenario(running: Running, url: str) -> None:
        async with httpx.AsyncClient(base_url=url) as http:
            response = await http.get(f"/feed?{parameters}")
            assert response.status_code == 422
            assert f"$.{parameters.partition('=')[0]}" in response.json()["detail"]

    run(scenario)


# Two services.


def settings(folder: Path, name: str, transport: str = "") -> Settings:
    return Settings(
        log=f"sqlite:///{folder}/{name}.db", views=f"sqlite:///{folder}/{name}-views.db", transport=transport
    )


def test_services_may_start_in_any_order(tmp_path: Path) -> None:
    """Who hears waits for who tells, and who tells comes back at the address where it was."""

    async def scenario() -> None:
        async with till.run(settings(tmp_path, "till")) as telling, served(telling) as url:
            port = int(url.rpartition(":")[2])
        async with buying.run(settings(tmp_path, "buying", transport=f"feed:till={url}")) as hearing:
            for units in (1, 2):
                with pytest.raises(ReceiptTimeout):
                    await hearing.ask(DemandFor(item="tea"), after=Receipt("till", units), timeout_seconds=0.2)
                async with till.run(settings(tmp_path, "till")) as telling, served(telling, port):
                    receipt = await telling.send(Sell(item="tea"))
                    demand = await hearing.ask(DemandFor(item="tea"), after=receipt, timeout_seconds=30)
                    assert demand == Demand(key="tea", sales=units, units=units)
            assert hearing.failing() == {}

    asyncio.run(scenario())


def test_receipts_travel_through_the_feed(tmp_path: Path) -> None:
    """Also those of commands of which nothing is published."""

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            telling = await stack.enter_async_context(till.run(settings(tmp_path, "till")))
            url = await stack.enter_async_context(served(telling))
            feed = {"transport": f"feed:till={url}"}
            hearing = await stack.enter_async_context(buying.run(settings(tmp_path, "buying", **feed)))
            for n in range(1, 51):
                await telling.send(Sell(item="tea"))
                receipt = await telling.send(Count(item="tea"))
                demand = await hearing.ask(DemandFor(item="tea"), after=receipt, timeout_seconds=30)
                assert demand == Demand(key="tea", sales=n, units=n)
            assert await hearing.log.head() == 50

    asyncio.run(scenario())


def test_a_log_that_was_replaced_is_an_error_and_nothing_is_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Who hears knows a position that the log has not got: it is not ready, says so, and goes on once the log is back."""

    async def scenario() -> None:
        async with till.run(settings(tmp_path, "till")) as telling, served(telling) as url:
            port = int(url.rpartition(":")[2])
            hears = settings(tmp_path, "buying", transport=f"feed:till={url}")
            async with buying.run(hears) as hearing:
                for _ in range(3):
                    receipt = await telling.send(Sell(item="tea"))
                await hearing.ask(DemandFor(item="tea"), after=receipt, timeout_seconds=30)
        (tmp_path / "other").mkdir()
        async with buying.run(hears) as hearing:
            async with till.run(settings(tmp_path / "other", "till")) as telling:
                await telling.send(Sell(item="coffee"))
                async with served(telling, port):
                    reason = await failing(hearing, "inbox:till")
                    assert "log of till ends at position 1, and buying has heard everything up to 3" in reason
                    assert "Restore it" in reason
            async with till.run(settings(tmp_path, "till")) as telling, served(telling, port):
                receipt = await telling.send(Sell(item="tea"))
                demand = await hearing.ask(DemandFor(item="tea"), after=receipt, timeout_seconds=30)
                assert demand == Demand(key="tea", sales=4, units=4)
                assert await hearing.ask(DemandFor(item="coffee"), after=receipt) is None
                assert hearing.failing() == {}

    asyncio.run(scenario())
    assert "has replaced the log of till" in caplog.text


async def failing(running: Running, follower: str) -> str:
    """Return why a follower fails, once it does; if it never does, that is a failure and not a longer wait."""
    async with asyncio.timeout(30):
        while follower not in running.failing():
            await asyncio.sleep(0.01)
    return running.failing()[follower]


# What is wrong with a URL, or behind it.


class Impatient(SystemClock):
    """Waits for nothing, and counts how often it would have."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.pauses: list[float] = []
        self._most = most

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if len(self.pauses) == self._most:
            raise asyncio.CancelledError
        await asyncio.sleep(0)


def complaints(url: str, caplog: pytest.LogCaptureFixture, attempts: int = 20) -> tuple[list[str], list[float]]:
    """Return what is said, loudly, of a feed that cannot be read, and the pauses between attempts."""
    clock = Impatient(attempts)

    async def scenario() -> None:
        transport = FeedTransport({"till": url}, clock)
        with suppress(asyncio.CancelledError):
            await anext(transport.subscribe("buying", "till", 0))
        await transport.close()

    asyncio.run(scenario())
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING], clock.pauses


def test_a_source_that_stays_away_is_asked_ever_more_seldom_and_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """Not at its first absence, for services start in any order; then now and again, and by jittered pauses."""
    said, pauses = complaints("http://127.0.0.1:1", caplog)
    assert [bool(re.search(r"till at http://127\.0\.0\.1:1 cannot be read", each)) for each in said] == [True, True]
    assert 0.05 <= pauses[0] <= 0.1
    assert all(2.5 <= pause <= 5 for pause in pauses[7:])
    assert len(set(pauses[7:])) > 1


def test_a_url_of_somebody_else_is_told_of_and_nothing_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    """The feed of another service, a page that is none, and a status that is no success."""

    async def scenario() -> list[str]:
        async with buying.run(MEMORY) as running, served(running) as url:
            found = []
            for wrong in (url, f"{url}/health/live?", f"{url}/nothing"):
                caplog.clear()
                said, _ = await asyncio.to_thread(complaints, wrong.rstrip("?"), caplog, 6)
                found += said
            return found

    other, live, nothing = asyncio.run(scenario())
    assert "it is the feed of buying, so the URL is wrong" in other
    assert "404" in live
    assert "404" in nothing


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("feed:", "'' is not the name of a service and the URL"),
        ("feed:till", "'till' is not the name"),
        ("feed:till=", "'till=' is not the name"),
        ("feed:till=127.0.0.1:8001", "is not the name"),
        ("feed:till=ftp://127.0.0.1", "is not the name"),
        ("feed:till=http://", "is not the name"),
        ("feed:till=http://127.0.0.1:port", "is not the name"),
        ("feed:till=http://127.0.0.1:8001/?x=1", "is not the name"),
        ("feed:=http://127.0.0.1:8001", "is not the name"),
        ("feed:till=http://127.0.0.1:8001,", "'' is not the name"),
        ("feed:till=http://127.0.0.1:8001,till=http://127.0.0.1:8002", "two URLs for till"),
        ("feed:tell=http://127.0.0.1:8001", "till is to be heard, .* has URLs for tell only"),
    ],
)
def test_a_url_that_does_not_say_where_the_sources_are_is_refused(url: str, says: str) -> None:
    """When the service starts, with a valid example."""
    with pytest.raises(SettingsError, match=f"{says}.*feed:sales=http://127.0.0.1:8001"):
        open_transport(url, CLOCK, Limits(), ["till"])


def test_a_source_that_is_not_in_the_url_ends_the_start() -> None:
    """And not the first hearing of it."""

    async def scenario() -> None:
        async with buying.run(Settings(log="memory:", views="memory:", transport="feed:shop=http://127.0.0.1:1")):
            raise AssertionError

    with pytest.raises(SettingsError, match="till is to be heard"):
        asyncio.run(scenario())


def test_a_subscription_to_a_log_that_was_replaced_is_an_error() -> None:
    """Said to whoever asks for the next delivery."""

    async def scenario(running: Running, url: str) -> None:
        transport = FeedTransport({"till": url}, CLOCK)
        with pytest.raises(LogCorrupted, match="ends at position 0, and buying has heard everything up to 7"):
            await anext(transport.subscribe("buying", "till", 7))
        await transport.close()

    run(scenario)
