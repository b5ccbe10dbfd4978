"""What Redis does besides the ordinary, and what is told of it."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import msgspec
import pytest

from tests.support.servers.alone import own
from tests.support.servers.process import free_ports
from tests.support.servers.redis import RedisServer, client, running_redis
from twofold.adapters.redis.broker import open_transport
from twofold.clock import SystemClock
from twofold.errors import LogUnavailable, SettingsError
from twofold.limits import BrokerLimits, Limits
from twofold.messaging import Delivery, Published, Transport

_PATIENCE_SECONDS = 30.0

IMPATIENT = Limits(broker=BrokerLimits(answer_seconds=1, missing_seconds=1))


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A server that a test may stop or fill."""
    # With a line of configuration it is one of ours, whatever server is given by URL.
    with own(running_redis("appendfsync always")) as running:
        yield running


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario; what never comes is not waited for forever."""
    asyncio.run(asyncio.wait_for(scenario(), _PATIENCE_SECONDS))


@asynccontextmanager
async def transport(url: str, limits: Limits = IMPATIENT) -> AsyncIterator[Transport]:
    opened = open_transport(url, SystemClock(), limits, ())
    try:
        yield opened
    finally:
        await opened.close()


def delivery(position: int) -> Delivery:
    """Return the event of sales at a position."""
    event = Published(f"id-{position}", "sales", "Ordered", 1, "order:1", position, 5, msgspec.Raw(b"{}"))
    return Delivery("sales", [event], position, position - 1)


async def received(carrier: Transport, count: int, after: int = 0) -> list[str]:
    """Return the ids of so many events, of which the last ones are not settled."""
    ids: list[str] = []
    async with aclosing(carrier.subscribe("ledger", "sales", after)) as deliveries:
        while len(ids) < count:
            ids += [event.id for event in (await anext(deliveries)).events]
    return ids


async def failure_of(attempt: Callable[[], Awaitable[Any]]) -> str:
    with pytest.raises(LogUnavailable) as raised:
        await attempt()
    return str(raised.value)


def test_a_server_that_is_away_is_named() -> None:
    """Whoever publishes and whoever reads learns at once where nobody is, without the password."""
    url = f"redis://shop:hidden@127.0.0.1:{free_ports(1)[0]}"

    async def scenario() -> None:
        async with transport(url) as carrier:
            for attempt in (lambda: carrier.publish(delivery(1)), lambda: received(carrier, 1)):
                told = await failure_of(attempt)
                assert "cannot be reached" in told
                assert "shop:***@127.0.0.1" in told
                assert "hidden" not in told

    run(scenario)


def test_who_is_cancelled_while_it_connects_ends(server: RedisServer) -> None:
    """At whatever moment that is, and leaves nothing behind that reads on."""
    places = server.places()

    async def scenario() -> None:
        async with transport(places.url) as carrier:
            for turns in range(100):
                reading = asyncio.create_task(received(carrier, 1))
                for _ in range(turns):
                    await asyncio.sleep(0)
                reading.cancel()
                await asyncio.wait([reading], timeout=5)
                assert reading.cancelled()

    run(scenario)


def test_what_a_user_may_not_do_is_told(server: RedisServer) -> None:
    """It names the command."""

    async def scenario() -> None:
        async with client(server.url) as operator:
            await operator.execute_command("ACL", "SETUSER", "reader", "on", ">x", "~*", "+@all", "-xadd")
        async with transport(server.url.replace("//", "//reader:x@")) as carrier:
            told = await failure_of(lambda: carrier.publish(delivery(1)))
            assert "does not permit it" in told
            assert "xadd" in told

    run(scenario)


def test_a_server_that_stands_still_is_not_waited_for(own_server: RedisServer) -> None:
    """Neither publishing, reading nor closing takes longer than it may; all goes on when it does."""

    async def scenario() -> None:
        async with transport(own_server.url) as carrier:
            await carrier.publish(delivery(1))
            async with aclosing(carrier.subscribe("ledger", "sales", 0)) as deliveries:
                await anext(deliveries)
                own_server.signal(signal.SIGSTOP)
                assert "has not answered in time" in await failure_of(lambda: carrier.publish(delivery(2)))
                assert "has not answered in time" in await failure_of(lambda: anext(deliveries))
            own_server.signal(signal.SIGCONT)
            await carrier.publish(delivery(2))
            assert await received(carrier, 1, after=1) == ["id-2"]

    run(scenario)


def test_a_server_that_is_killed_has_kept_what_it_confirmed(own_server: RedisServer) -> None:
    """Who was reading learns that it is gone, and reads on from what was not settled when it is back."""

    async def scenario() -> None:
        async with transport(own_server.url) as carrier:
            await carrier.publish(delivery(1))
            async with aclosing(carrier.subscribe("ledger", "sales", 0)) as deliveries:
                await anext(deliveries)
                own_server.kill()
                await failure_of(lambda: anext(deliveries))
            await failure_of(lambda: carrier.publish(delivery(2)))
            own_server.start()
            await carrier.publish(delivery(2))
            assert await received(carrier, 2) == ["id-1", "id-2"]

    run(scenario)


def test_a_full_server_refuses_and_goes_on_when_there_is_room(own_server: RedisServer) -> None:
    """Nothing is taken for published that was not kept, and nothing is half kept."""

    async def scenario() -> None:
        async with transport(own_server.url) as carrier, client(own_server.url) as operator:
            await carrier.publish(delivery(1))
            await operator.config_set("maxmemory-policy", "noeviction")
            await operator.config_set("maxmemory", 1)
            told = await failure_of(lambda: carrier.publish(delivery(2)))
            assert "is full: command not allowed when used memory > 'maxmemory'" in told
            assert await operator.xlen("sales:events") == 1
            await operator.config_set("maxmemory", 0)
            await carrier.publish(delivery(2))
            assert await received(carrier, 2) == ["id-1", "id-2"]

    run(scenario)


def test_a_replica_is_not_written_to(server: RedisServer) -> None:
    """One that is named alone is told as one; where the URL names the primary as well, that is found."""
    with own(running_redis(f"replicaof 127.0.0.1 {server.port}", "replica-serve-stale-data yes")) as replica:
        both = server.places().url.replace("redis://", f"redis://127.0.0.1:{replica.port},")

        async def scenario() -> None:
            async with transport(replica.url) as carrier:
                assert "is a replica" in await failure_of(lambda: carrier.publish(delivery(1)))
            for position in range(1, 5):
                async with transport(both) as carrier:
                    await carrier.publish(delivery(position))

        run(scenario)


def test_replicas_are_waited_for_where_that_is_asked(server: RedisServer) -> None:
    """Without as many, it is not taken for published."""

    async def scenario() -> None:
        places = server.places()
        async with client(server.url) as operator:
            await operator.config_set("repl-diskless-sync-delay", 0)
        async with transport(f"{places.url}&replicas=1") as carrier:
            assert "0 of 1 replicas" in await failure_of(lambda: carrier.publish(delivery(1)))
            with own(running_redis(f"replicaof 127.0.0.1 {server.port}")):
                while True:
                    try:
                        await carrier.publish(delivery(1))
                        break
                    except LogUnavailable:
                        await asyncio.sleep(0.1)
            assert await received(carrier, 1) == ["id-1"]

    run(scenario)


def test_what_a_stream_has_trimmed_is_noticed(server: RedisServer) -> None:
    """By whomever, before everybody has read it: that is told as missing, and never passed by."""
    places = server.places()

    async def scenario() -> None:
        async with transport(places.url) as carrier, client(server.url) as operator:
            for position in (1, 2, 3, 4):
                await carrier.publish(delivery(position))
            await operator.xtrim(places.stream, maxlen=2, approximate=False)
            told = await failure_of(lambda: received(carrier, 1))
            assert "after position 0 and up to 2 has not come" in told
            for position in (1, 2):
                await carrier.publish(delivery(position))
            assert await received(carrier, 4) == ["id-1", "id-2", "id-3", "id-4"]

    run(scenario)


def test_a_stream_is_kept_as_long_as_its_url_says(server: RedisServer) -> None:
    """Roughly, as Redis removes whole blocks of entries; without a limit it keeps all."""
    limited, unlimited = server.places(), server.places()

    async def scenario() -> None:
        async with transport(f"{limited.url}&maxlen=100") as carrier, transport(unlimited.url) as other:
            for position in range(1, 501):
                await carrier.publish(delivery(position))
                await other.publish(delivery(position))
        async with client(server.url) as operator:
            assert 100 <= await operator.xlen(limited.stream) < 400
            assert await operator.xlen(unlimited.stream) == 500

    run(scenario)


def test_what_has_gone_with_the_data_is_made_again(server: RedisServer) -> None:
    """Somebody deletes a stream while it is read: the reader learns it when it settles, and then reads what is new."""
    places = server.places()

    async def scenario() -> None:
        async with transport(places.url) as carrier, client(server.url) as operator:
            await carrier.publish(delivery(1))
            async with aclosing(carrier.subscribe("ledger", "sales", 0)) as deliveries:
                await anext(deliveries)
                await operator.delete(places.stream)
                assert "has something else" not in await failure_of(lambda: anext(deliveries))
            await carrier.publish(delivery(2))
            assert await received(carrier, 1, after=1) == ["id-2"]

    run(scenario)


def test_a_key_that_is_no_stream_is_told_as_one(server: RedisServer) -> None:
    """And how streams are named otherwise."""
    places = server.places()

    async def scenario() -> None:
        async with transport(places.url) as carrier, client(server.url) as operator:
            await operator.set(places.stream, "something")
            for attempt in (lambda: carrier.publish(delivery(1)), lambda: received(carrier, 1)):
                assert "has something else by that name" in await failure_of(attempt)

    run(scenario)


def test_nothing_is_created_where_that_is_forbidden(server: RedisServer) -> None:
    """The command that creates it is told; once it was given, all goes on."""
    places = server.places()

    async def scenario() -> None:
        async with transport(f"{places.url}&create=no") as carrier, client(server.url) as operator:
            with pytest.raises(SettingsError, match=f"XGROUP CREATE {places.stream} SUBSCRIBER 0 MKSTREAM"):
                await carrier.publish(delivery(1))
            with pytest.raises(SettingsError, match=f"XGROUP CREATE {places.stream} ledger 0 MKSTREAM"):
                await received(carrier, 1)
            await operator.xgroup_create(places.stream, "ledger", "0", mkstream=True)
            await carrier.publish(delivery(1))
            assert await received(carrier, 1) == ["id-1"]

    run(scenario)


def test_a_group_shows_how_far_its_service_is(server: RedisServer) -> None:
    """So that the usual tools tell the lag: what is settled is read, and what came too early is not."""
    places = server.places()

    async def scenario() -> None:
        async with transport(places.url) as carrier, client(server.url) as operator:

            async def lag() -> int:
                (group,) = await operator.xinfo_groups(places.stream)
                found: int = group["lag"]
                return found

            for position in (2, 1, 4):
                await carrier.publish(delivery(position))
            async with aclosing(carrier.subscribe("ledger", "sales", 0)) as deliveries:
                assert [event.id for event in (await anext(deliveries)).events] == ["id-1", "id-2"]
                assert await lag() == 3
                asking = asyncio.ensure_future(anext(deliveries))
                while await lag() != 1:
                    await asyncio.sleep(0.01)
                await carrier.publish(delivery(3))
                assert [event.id for event in (await asking).events] == ["id-3", "id-4"]

    run(scenario)


@pytest.mark.parametrize("options", ["/one", "?create=maybe", "?maxlen=0", "?replicas=few", "?topic=x"])
def test_a_url_that_cannot_be_meant_is_refused_when_the_transport_is_opened(options: str) -> None:
    """With an example of one that can."""
    with pytest.raises(SettingsError, match="For example redis://"):
        open_transport(f"redis://127.0.0.1{options}", SystemClock(), Limits(), ["sales"])
