"""What becomes of commands that are sent through the log: one suite for services on every database."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import msgspec
import pytest

from tests.processes import ordering
from tests.processes.neighbours import CountBelow, Counted, CountLeft, CountRight, neighbours
from tests.processes.ordering import both
from tests.processes.reserving import Add, Added, Break, Look, Reserve, Reserved, Spoil, fragile, stock
from tests.support.waiting import until
from twofold import Command, Event, Receipt, Rejected
from twofold.errors import IdReused, InvalidMessage, RequestTimeout, UnknownMessage
from twofold.followers import Parked, parking
from twofold.log import Criterion, NewEvent, RecordedEvent
from twofold.messages import Metadata, encode, reader
from twofold.processes import COMMANDS, CommandSent, CommandSettled, heard, sent
from twofold.processes.recording import record
from twofold.service import Running, Settings
from twofold.service.roles import Role

Places: TypeAlias = Callable[[str], Settings]
"""Returns where a service keeps what it has, by its name."""

PATIENCE = 20.0


async def recorded(running: Running, *kinds: type[Event]) -> list[RecordedEvent]:
    """Return the events of some types in a service's log."""
    return await running.log.read((Criterion(types=tuple([kind.message_name for kind in kinds])),), limit=100_000)


async def read_back(running: Running, kind: type[Event]) -> list[Any]:
    """Return the events of a type in a service's log as they are read."""
    return [reader(kind, each.version)(each.data) for each in await recorded(running, kind)]


async def settled(running: Running, count: int) -> list[CommandSettled]:
    """Return what became of commands, once so many are settled."""

    async def are() -> bool:
        return len(await recorded(running, CommandSettled)) >= count

    await until(are)
    return await read_back(running, CommandSettled)


async def send(running: Running, *commands: tuple[str, Command]) -> None:
    """Append own commands of a service as a process would, each under an id."""
    for id, command in commands:
        metadata = encode(Metadata(correlation="request-1", actor="ann"))
        await record(running.log, [sent(command, id, running.name)], f"test/{id}", running.clock, metadata)


async def send_raw(running: Running, id: str, command: str, data: bytes) -> None:
    """Append a command as other code may have sent it."""
    made = CommandSent(id=id, service=running.name, command=command, data=msgspec.Raw(data), order=id)
    await record(running.log, [made], f"test/{id}", running.clock)


async def parked(running: Running, count: int) -> Sequence[Parked]:
    """Return what is parked of commands, once that is so much."""

    async def are() -> bool:
        return len(await parking.parked(running.views, COMMANDS)) >= count

    await until(are)
    return await parking.parked(running.views, COMMANDS)


def together(places: Places, *roles: Role) -> AbstractAsyncContextManager[dict[str, Running]]:
    """Run the sales and the stock as a system."""
    settings = {name: places(name) for name in both.services}
    return both.run(settings, roles=roles) if roles else both.run(settings)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


class CarriedCommands:
    """A suite: a subclass has a fixture ``places``."""

    def test_a_command_in_the_log_is_decided_and_its_outcome_is_beside_its_events(self, places: Places) -> None:
        """The record of the outcome stands right behind the event, and both tell which command led to them."""

        async def scenario() -> None:
            async with stock.run(places("stock")) as running:
                await running.send(Add(item="tea", units=3))
                await send(running, ("c-1", Reserve(item="tea", order="o-1", units=2)))
                (outcome,) = await settled(running, 1)
                events = (await running.log.read())[-2:]
                assert [each.type for each in events] == ["Reserved", "twofold.CommandSettled"]
                assert [(each.metadata.command, each.metadata.causation) for each in events] == [("c-1", "c-1")] * 2
                assert {(each.metadata.correlation, each.metadata.actor) for each in events} == {("request-1", "ann")}
                assert (outcome.id, outcome.service, outcome.command, outcome.rejection) == (
                    "c-1",
                    "stock",
                    "Reserve",
                    "",
                )

        run(scenario)

    def test_every_outcome_is_recorded(self, places: Places) -> None:
        """No events, a rejection whatever its arguments are, values that are not taken, and fields that are not known."""

        async def scenario() -> None:
            async with stock.run(places("stock")) as running:
                await send(running, ("c-1", Look(item="tea")), ("c-2", Reserve(item="tea", order="o-1")))
                await send(running, ("c-3", Spoil(item="tea")))
                await send_raw(running, "c-4", "Reserve", b'{"item":"tea","order":"o-1","units":0}')
                await send_raw(running, "c-5", "Reserve", b'{"item":"tea","order":"o-1","colour":"green"}')
                found = {each.id: each for each in await settled(running, 5)}
                assert {id: each.rejection for id, each in found.items()} == {
                    "c-1": "", "c-2": "OutOfStock", "c-3": "Spoiled", "c-4": "InvalidMessage", "c-5": "InvalidMessage",
                }  # fmt: skip
                assert (found["c-2"].reason, found["c-2"].arguments) == ("There is not so much of it. (0)", [0])
                assert found["c-3"].arguments == [["tea"], "1j", "a\0b"]
                assert "units" in found["c-4"].reason
                assert "unknown field `colour`" in found["c-5"].reason

        run(scenario)

    def test_what_cannot_be_decided_is_parked_by_its_order(self, places: Places) -> None:
        """A decision that raises and a command that there is not: what is about the same waits, and all others go on."""

        async def scenario() -> None:
            async with fragile.run(places("stock")) as running:
                await send(running, ("c-1", Break(item="tea")), ("c-2", Add(item="tea", units=1)))
                await send_raw(running, "c-3", "Steal", b'{"item":"mint"}')
                await send(running, ("c-4", Add(item="sage", units=1)))
                assert [each.id for each in await settled(running, 1)] == ["c-4"]
                found = {(each.key, each.position): each.error for each in await parked(running, 3)}
                assert "this decision is broken" in found["item:tea", 1]
                assert found["item:tea", 2] == ""
                assert "Steal" in found["c-3", 3]

        run(scenario)

    def test_what_was_settled_is_not_decided_again_where_all_is_followed_anew(self, places: Places) -> None:
        """Not even where it would be decided otherwise now: without its checkpoints, a service adds nothing to its log."""

        async def scenario() -> None:
            settings = places("stock")
            if settings.log == "memory:":
                return
            async with stock.run(settings) as running:
                await send(running, ("c-1", Reserve(item="tea", order="o-1")), ("c-2", Spoil(item="tea")))
                await send(running, ("c-3", Add(item="tea", units=5)), ("c-4", Reserve(item="tea", order="o-2")))
                await settled(running, 4)
                head = await running.log.head()
            async with stock.run(msgspec.structs.replace(settings, views="memory:")) as running:

                async def followed() -> bool:
                    return min([each.position for each in await running.progress()], default=0) >= head

                await until(followed)
                assert await running.log.head() == head
                assert await parking.parked(running.views, COMMANDS) == []

        run(scenario)

    def test_a_refusal_is_borne_out_by_the_log(self, places: Places) -> None:
        """Where commands race for the last units, each is refused on the state that the log has right before that."""

        async def scenario() -> None:
            async with stock.run(places("stock")) as running:
                adding = [running.send(Add(item="tea", units=1)) for _ in range(30)]
                reserving = send(running, *[(f"c-{n}", Reserve(item="tea", order=f"o-{n}")) for n in range(60)])
                await asyncio.gather(reserving, *adding)
                await settled(running, 60)
                units = 0
                for event in await running.log.read():
                    if event.type == "Added":
                        units += 1
                    elif event.type == "Reserved":
                        units -= 1
                    elif event.type == CommandSettled.message_name:
                        outcome = reader(CommandSettled, 1)(event.data)
                        assert outcome.rejection == "" or (units, outcome.arguments) == (0, [0])
                    assert units >= 0

        run(scenario)

    def test_another_command_under_an_id_is_not_done_and_is_seen(self, places: Places) -> None:
        """What should not be in the log is parked: other code may have sent it."""

        async def scenario() -> None:
            async with stock.run(places("stock")) as running:
                await send(running, ("c-1", Add(item="tea", units=1)))
                await settled(running, 1)
                again = msgspec.Raw(b'{"item":"tea","units":2}')
                made = CommandSent(id="c-1", service="stock", command="Add", data=again, order="item:tea")
                await record(running.log, [made], "test/again", running.clock)
                wrong = NewEvent("wrong", "sales.twofold.CommandSent", 1, (), b'{"service":"stock"}')
                await running.log.append([wrong])
                found = await parked(running, 2)
                assert [each.key for each in found] == ["", "item:tea"]
                odd = CommandSent(id="c-2", service="stock", command="Steal", data=again, order="a\0b" * 1000)
                await record(running.log, [odd], "test/odd", running.clock)
                await parked(running, 3)
                assert "missing required field" in found[0].error
                assert "IdReused" in found[1].error
                assert "c-1' was that of another command" in found[1].error
                assert [each.units for each in await read_back(running, Added)] == [1]

        run(scenario)

    # Between services.

    def test_services_that_send_to_each_other_keep_apart_what_is_whose(self, places: Places) -> None:
        """Each records what is for it and nothing else; the same id is another command for each two of them."""

        async def scenario() -> None:
            settings = {name: places(name) for name in neighbours.services}
            async with neighbours.run(settings) as services:
                requests = [
                    services[sender].request(command(thing="hat"), timeout_seconds=PATIENCE, id="c-1")
                    for sender, command in (
                        ("left", CountRight), ("left", CountBelow), ("right", CountLeft), ("right", CountBelow),
                        ("below", CountLeft), ("below", CountRight),
                    )
                ]  # fmt: skip
                receipts = await asyncio.gather(*requests)
                assert [each.service for each in receipts] == ["right", "below", "left", "below", "left", "right"]
                for name, running in services.items():
                    assert [each.times for each in await read_back(running, Counted)] == [1, 2]
                    foreign = [each for each in await running.log.read() if each.metadata.source]
                    assert len(foreign) == 4
                    assert {msgspec.json.decode(each.data)["service"] for each in foreign} == {name}

        run(scenario)

    def test_who_waits_need_not_be_who_follows(self, places: Places) -> None:
        """Of several processes one takes commands, another one carries them out, and a third one hears."""

        async def scenario() -> None:
            if places("sales").log == "memory:":
                return
            carrying_out, hearing = together(places, "processes"), together(places, "relay")
            async with together(places, "commands") as sending, carrying_out, hearing:
                await sending["stock"].send(Add(item="tea", units=30))
                commands = [ordering.Reserve(item="tea", order=f"o-{n}", units=1) for n in range(30)]
                requests = [sending["sales"].request(each, timeout_seconds=PATIENCE) for each in commands]
                assert {each.service for each in await asyncio.gather(*requests)} == {"stock"}
                assert len(await recorded(sending["stock"], Reserved)) == 30

        run(scenario)

    def test_a_command_to_another_service_is_decided_there_and_its_outcome_comes_back(self, places: Places) -> None:
        """With the receipt of that service; both logs tell of one request, and who made it."""

        async def scenario() -> None:
            async with together(places) as services:
                sales, stock = services["sales"], services["stock"]
                added = await stock.send(Add(item="tea", units=3))
                who = Metadata(correlation="request-7", actor="ann")
                command = ordering.Reserve(item="tea", order="o-1", units=2)
                receipt = await sales.request(command, timeout_seconds=PATIENCE, id="c-1", metadata=who)
                assert receipt == Receipt("stock", added.position + 3)
                (event,) = await recorded(stock, Reserved)
                assert (event.metadata.correlation, event.metadata.actor) == ("request-7", "ann")
                assert (event.metadata.command, event.metadata.causation) == ("c-1", "c-1")
                (outcome,) = await recorded(sales, heard(CommandSettled, "stock"))
                assert outcome.metadata.correlation == "request-7"
                assert [each.type for each in await sales.log.read()] == [
                    "twofold.CommandSent", "stock.twofold.CommandSettled",
                ]  # fmt: skip

        run(scenario)

    def test_a_refusal_comes_back_as_the_senders_own_class(self, places: Places) -> None:
        """Of the name that it has there; one that the sender does not know has its name and its text."""

        async def scenario() -> None:
            async with together(places) as services:
                sales = services["sales"]
                with pytest.raises(ordering.OutOfStock) as refused:
                    await sales.request(ordering.Reserve(item="tea", order="o-1", units=2), timeout_seconds=PATIENCE)
                assert refused.value.args == (0,)
                with pytest.raises(Rejected, match="It has gone bad") as unknown:
                    await sales.request(ordering.Spoil(item="tea"), timeout_seconds=PATIENCE)
                assert (type(unknown.value).__name__, unknown.value.args[0]) == ("Spoiled", ["tea"])
                with pytest.raises(InvalidMessage, match="units"):
                    await sales.request(ordering.Reserve(item="tea", order="o-1", units=0), timeout_seconds=PATIENCE)

        run(scenario)

    def test_a_command_has_one_effect_and_one_outcome_however_often_it_is_sent(self, places: Places) -> None:
        """In a row and at once, with more in stock by then or less; another command under its id is refused."""

        async def scenario() -> None:
            async with together(places) as services:
                sales, stock = services["sales"], services["stock"]

                async def request(id: str) -> Receipt | str:
                    command = ordering.Reserve(item="tea", order=id, units=2)
                    try:
                        return await sales.request(command, timeout_seconds=PATIENCE, id=id)
                    except ordering.OutOfStock:
                        return "refused"

                first = await asyncio.gather(*[request("c-1") for _ in range(10)])
                assert first == ["refused"] * 10
                await stock.send(Add(item="tea", units=3))
                assert await request("c-1") == "refused"
                (receipt,) = {*await asyncio.gather(*[request("c-2") for _ in range(10)])}
                assert await request("c-2") == receipt
                assert [each.order for each in await read_back(stock, Reserved)] == ["c-2"]
                assert Counter(each.id for each in await read_back(stock, CommandSettled)) == {"c-1": 1, "c-2": 1}
                assert len(await recorded(sales, CommandSent)) == 2
                with pytest.raises(IdReused, match="c-2"):
                    await sales.send(ordering.Reserve(item="tea", order="c-2", units=3), id="c-2")

        run(scenario)

    def test_an_id_of_one_service_is_not_that_of_another(self, places: Places) -> None:
        """Nor that of a command that somebody sends to it directly: all three are done."""

        async def scenario() -> None:
            async with together(places) as services:
                sales, stock = services["sales"], services["stock"]
                await stock.send(Add(item="tea", units=9), id="c-1")
                await send(stock, ("c-1", Reserve(item="tea", order="own")))
                command = ordering.Reserve(item="tea", order="theirs", units=1)
                await sales.request(command, timeout_seconds=PATIENCE, id="c-1")
                await settled(stock, 2)
                assert {each.order for each in await read_back(stock, Reserved)} == {"own", "theirs"}
                assert len(await recorded(stock, Added)) == 1

        run(scenario)

    def test_who_is_away_is_sent_to_all_the_same(self, places: Places) -> None:
        """Who waits learns that it may still be decided; when the other is back it is, in the order of sending for a key."""

        async def scenario() -> None:
            if places("sales").log == "memory:":
                return
            orders = [f"o-{n}" for n in range(40)]
            async with together(places, "commands") as services:
                sales = services["sales"]
                await services["stock"].send(Add(item="tea", units=100))
                await services["stock"].send(Add(item="mint", units=100))
                for order in orders:
                    for item in ("tea", "mint"):
                        command = ordering.Reserve(item=item, order=order, units=1)
                        await sales.send(command, id=f"{item}/{order}")
                late = ordering.Reserve(item="tea", order="late", units=1)
                with pytest.raises(RequestTimeout, match=r"may still be decided.*'late'"):
                    await sales.request(late, timeout_seconds=0.01, id="late")
            async with together(places) as services:
                receipt = await services["sales"].request(late, timeout_seconds=PATIENCE, id="late")
                found = await read_back(services["stock"], Reserved)
                assert [each.order for each in found if each.item == "tea"] == [*orders, "late"]
                await settled(services["stock"], 81)
                found = await read_back(services["stock"], Reserved)
                assert [each.order for each in found if each.item == "mint"] == orders
                assert receipt.service == "stock"

        run(scenario)

    def test_what_is_not_declared_is_not_sent(self, places: Places) -> None:
        """The text says where to add it."""

        class Steal(Command, service="stock"):
            item: str

        async def scenario() -> None:
            async with together(places, "commands") as services:
                with pytest.raises(UnknownMessage, match="does not say that it sends Steal to stock"):
                    await services["sales"].send(Steal(item="tea"))

        run(scenario)
