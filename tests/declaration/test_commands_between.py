"""Commands between services: what one sends is checked against what the other takes, when both are in a system."""

import asyncio
import types
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest

from tests.processes.ordering import both, sales
from twofold import Command, Event, Meta, Rejected, Service, System, Tag, Tick, decide, every
from twofold.declaration.graph import graph_of
from twofold.errors import DeclarationError, SettingsError
from twofold.messages import Message
from twofold.messages.fitting import misfits
from twofold.service import Settings

ItemId = Annotated[str, Tag("item")]


class Take(Command):
    item: ItemId
    units: Annotated[int, Meta(gt=0)]
    note: str = ""


class Taken(Event):
    item: ItemId


@decide
def take(command: Take) -> Iterator[Taken]:
    yield Taken(item=command.item)


def sending(command: type[Command]) -> Service:
    return Service("shop", sends=[command])


def taking(*senders: str) -> Service:
    return Service("depot", decisions=[take], takes_commands_from=senders)


def test_what_is_sent_as_it_is_taken_is_right() -> None:
    """The sender gives what it has: fields with defaults may be left out."""

    class Fetch(Command, name="Take", service="depot"):
        item: str
        units: int

    System(sending(Fetch), taking("shop"))


def test_what_is_not_taken_is_told_when_the_system_is_declared() -> None:
    """A sender that is not let in, a command that there is not, fields that are not known, of another type, or lacking."""

    class Fetch(Command, name="Take", service="depot"):
        item: str
        units: int

    class Steal(Command, service="depot"):
        item: str

    class Wrong(Command, name="Take", service="depot"):
        item: str
        units: str

    class Little(Command, name="Take", service="depot"):
        item: str

    class Much(Command, name="Take", service="depot"):
        item: str
        units: int
        colour: str

    with pytest.raises(DeclarationError, match=r"depot does not take its commands. Add takes_commands_from=\['shop'\]"):
        System(sending(Fetch), taking("office"))
    with pytest.raises(DeclarationError, match=r"depot decides on no Steal. Correct the name; there are Take"):
        System(sending(Steal), taking("shop"))
    with pytest.raises(DeclarationError, match="its field 'units' is text, and has to be a whole number"):
        System(sending(Wrong), taking("shop"))
    with pytest.raises(DeclarationError, match="it lacks the field 'units'"):
        System(sending(Little), taking("shop"))
    with pytest.raises(DeclarationError, match="its field 'colour' is not known there: there are item, units, note"):
        System(sending(Much), taking("shop"))


def test_a_service_says_right_what_it_sends_and_takes() -> None:
    """An own command is not one of others; nobody takes commands from itself, or without deciding on any."""

    class Fetch(Command, service="depot"):
        item: str

    with pytest.raises(DeclarationError, match="does not say what other service decides on it"):
        Service("shop", sends=[Take])
    with pytest.raises(DeclarationError, match="does not say what other service decides on it"):
        Service("depot", sends=[Fetch])
    with pytest.raises(DeclarationError, match="takes commands from 'depot', which is itself"):
        taking("depot")
    with pytest.raises(DeclarationError, match="takes commands from 'shop', and decides on none"):
        Service("depot", takes_commands_from=["shop"])
    with pytest.raises(DeclarationError, match="a service's name is"):
        taking("The Shop")
    with pytest.raises(DeclarationError, match="takes a list"):
        Service("depot", decisions=[take], takes_commands_from="shop")


def test_rejections_are_those_of_another_service() -> None:
    """They say how it refuses a command, so they are classes of rejections, and there is a service."""

    class Gone(Rejected):
        """It is gone."""

    with pytest.raises(DeclarationError, match="name that, with service="):

        class _Own(Command, rejections=(Gone,)):
            item: str

    with pytest.raises(DeclarationError, match="takes classes derived from Rejected"):

        class _Wrong(Command, service="depot", rejections=(ValueError,)):
            item: str


def test_who_is_asked_has_to_be_heard() -> None:
    """A service that is not in the system is somewhere, and where has to be said."""

    class Fetch(Command, service="depot"):
        item: str

    async def scenario() -> None:
        async with System(sending(Fetch)).run({"shop": Settings(log="memory:", views="memory:")}):
            raise AssertionError

    with pytest.raises(SettingsError, match=r"shop has to hear of depot.* TWOFOLD_SHOP_TRANSPORT=feed:depot="):
        asyncio.run(scenario())


def test_the_graph_shows_what_is_sent_to_whom() -> None:
    """A command that can be sent at one service leads to that of the other."""
    graph = graph_of([each.declaration for each in both.services.values()])
    assert [each.id for each in graph.after(graph.nodes["sales/command:stock.Reserve"])] == ["stock/command:Reserve"]
    alone = graph_of([sales.declaration])
    assert [each.id for each in alone.after(alone.nodes["sales/command:stock.Reserve"])] == ["stock/command:Reserve"]


class Colour(Enum):
    RED = "red"


class Part(msgspec.Struct):
    name: str


FITTING: list[tuple[Any, Any]] = [
    (str, str), (str, UUID), (UUID, str), (datetime, str), (Decimal, str), (int, float), (int, int | None),
    (Literal["a"], str), (Colour, str), (str, Colour), (list[int], tuple[float, ...]), (dict[str, int], dict[str, float]),
    (dict[str, Any], Part), (Part, Part), (Any, int), (int, Any), (list[int], set[int]), (Annotated[int, Meta(gt=0)], int),
]  # fmt: skip
MISFITS: list[tuple[Any, Any]] = [
    (str, int), (int, str), (float, int), (int | None, int), (bool, int), (list[str], list[int]), (str, list[str]),
    (dict[str, str], dict[str, int]), (Part, str), (Literal[1], str),
]  # fmt: skip


def with_field(kind: Any) -> type[Message]:
    made: Any = types.new_class("Made", (Message,), exec_body=lambda body: body.update(__annotations__={"field": kind}))
    return made  # type: ignore[no-any-return]


@pytest.mark.parametrize(("sent", "taken"), FITTING, ids=str)
def test_types_fit_of_which_json_may_have_the_same_value(sent: Any, taken: Any) -> None:
    """Whether it does is seen when it comes."""
    assert [*misfits(with_field(sent), with_field(taken))] == []


@pytest.mark.parametrize(("sent", "taken"), MISFITS, ids=str)
def test_types_do_not_fit_of_which_some_values_never_do(sent: Any, taken: Any) -> None:
    """What is sent is then refused each time, or each time that it is such a value."""
    (flaw,) = misfits(with_field(sent), with_field(taken))
    assert "field 'field' is" in flaw


def test_schedules_say_what_they_send() -> None:
    """So that it is known who decides on it, and whose outcomes are to be heard."""

    class Fetch(Command, name="Take", service="depot"):
        item: str
        units: int

    @every("0 2 * * *", zone="Europe/Berlin", missed="one")
    def nightly(tick: Tick) -> Iterator[Fetch]:
        yield Fetch(item="tea", units=1)

    @every("0 2 * * *", zone="Europe/Berlin", missed="one")
    def lost(tick: Tick) -> Take:
        return Take(item="tea", units=1)

    service = Service("shop", schedules=[nightly])
    assert service.declaration.sent == (Fetch,)
    System(service, taking("shop"))
    with pytest.raises(DeclarationError, match="sends Take, and nothing in Service"):
        Service("shop", schedules=[lost])
    with pytest.raises(DeclarationError, match="annotate the commands that it yields"):

        @every("0 2 * * *", zone="Europe/Berlin", missed="one")
        def silent(tick: Tick) -> None: ...
