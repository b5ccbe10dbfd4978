"""The document is AsyncAPI, and it is true: of what goes over the wire, of what is accepted, and of who does what."""

import asyncio
from collections.abc import Iterator
from typing import Annotated, Any, Self

import jsonschema_rs
import msgspec
import pytest

from examples.bank import bank
from examples.shop import shop
from tests.contracts.asyncapi import flaws
from tests.contracts.trading import contract_of, loaded
from tests.http.message_shapes import shapes
from twofold import Aggregate, Command, Event, Rejected, Service, System, Tag, decide, evolve
from twofold.messaging import messages
from twofold.testing import running_system, settled

DOCUMENTS = {
    "bank": contract_of(bank),
    "shapes": contract_of(shapes),
    "shop": contract_of(*shop.services.values()),
    "stock": contract_of(shop.services["stock"]),
    "sales": contract_of(shop.services["sales"]),
}


def at(document: Any, reference: str) -> Any:
    for step in reference.removeprefix("#/").split("/"):
        document = document[step]
    return document


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def takes(document: Any, schema: Any, value: Any) -> bool:
    return jsonschema_rs.Draft7Validator({**schema, "components": document["components"]}).is_valid(value)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_it_is_as_the_specification_says(name: str) -> None:
    """Whatever reads AsyncAPI 3 reads it; its schemas are such, too."""
    assert flaws(DOCUMENTS[name]) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_reference_leads_somewhere(name: str) -> None:
    """No tool stumbles over it; an operation's messages are among those of its channel."""
    document = DOCUMENTS[name]
    assert all(at(document, reference) is not None for reference in {*references(document)})
    for operation in document["operations"].values():
        for part in (operation, operation.get("reply", operation)):
            assert all(each["$ref"].startswith(f"{part['channel']['$ref']}/messages/") for each in part["messages"])


def test_channels_are_named_as_brokers_name_them_and_operations_say_who_does_what() -> None:
    """Whom a service hears, whose commands it takes and whom it answers is there, also of a service by itself."""
    document = contract_of(loaded().stock)
    assert [*document["channels"]] == ["stock.events", "stock.commands", "sales.events"]
    assert document["channels"]["stock.events"]["address"] == "stock.events"
    actions = {name: each["action"] for name, each in document["operations"].items()}
    assert actions == {"stock.publishes": "send", "stock.decides": "receive", "stock.takes.sales": "receive"}
    assert document["operations"]["stock.takes.sales"]["reply"]["channel"] == {"$ref": "#/channels/stock.events"}
    document = contract_of(loaded().sales)
    actions = {name: each["action"] for name, each in document["operations"].items()}
    assert actions == {"sales.hears.stock": "receive", "sales.sends.stock": "send"}


def test_of_services_that_know_each_other_each_message_is_described_once() -> None:
    """By who publishes it, or decides on it: what others read of it is a part of that."""
    module = loaded()
    document = contract_of(module.sales, module.stock)
    heard = document["channels"]["stock.events"]["messages"]["Reserved"]
    assert heard == {"$ref": "#/components/messages/stock.events.Reserved"}
    assert "sales.sends.stock" not in document["operations"]


def test_an_event_has_its_version_tags_and_key_and_a_command_its_rejections() -> None:
    """Also those rejections that are raised by what the decision calls."""
    described = contract_of(loaded().stock)["components"]["messages"]
    reserved = described["stock.events.Reserved"]
    assert (reserved["x-version"], reserved["x-tags"]) == (1, [["item", "item"], ["order", "order"]])
    assert [each["pattern"] for each in reserved["bindings"]["kafka"]["key"]["anyOf"]] == ["^item:", "^order:"]
    assert described["stock.commands.Reserve"]["x-rejections"] == {
        "OutOfStock": "There is not so much of it.",
        "Unknown": "There never was any of it.",
    }


def test_what_goes_over_the_wire_is_as_the_document_says() -> None:
    """Headers and data of events, commands and outcomes, as a broker gets them, are values of their schemas."""
    module = loaded()
    document = contract_of(module.sales, module.stock)
    seen = []
    for source, attributes, data in asyncio.run(traffic(module)):
        described = [
            at(document, each["$ref"]) for each in document["channels"][f"{source}.events"]["messages"].values()
        ]
        fitting = [
            each["name"]
            for each in described
            if takes(document, each["headers"], attributes) and takes(document, each["payload"], data)
        ]
        seen += fitting
        assert len(fitting) == 1, (attributes, data, fitting)
    assert sorted(seen) == ["Reserved", *["twofold.CommandSent"] * 2, *["twofold.CommandSettled"] * 2]


async def traffic(module: Any) -> list[tuple[str, dict[str, str], Any]]:
    """Return what both have for others once a command was taken, and one was rejected."""
    async with running_system(System(module.sales, module.stock)) as running:
        await running["stock"].send(module.Add(item="tea", units=3))
        await running["sales"].request(module.ToReserve(item="tea", order="o-1", units=2), timeout_seconds=20)
        with pytest.raises(Rejected):
            await running["sales"].request(module.ToReserve(item="tea", order="o-2", units=9), timeout_seconds=20)
        await settled(*running.values())
        deliveries = [await each.outbox.page(0, 100) for each in running.values()]
    told = [(delivery.source, message) for delivery in deliveries for message in messages(delivery)]
    return [(source, each.attributes, msgspec.json.decode(each.data)) for source, each in told]


def test_names_in_other_letters_are_kept_and_lead_nowhere_else() -> None:
    """AsyncAPI's keys are ASCII, and the names of events are not."""

    class Transferred(Event, name="Überwiesen"):
        account: Annotated[str, Tag("Konto")]

    class Transfer(Command, name="Überweise"):
        account: Annotated[str, Tag("Konto")]

    class Account(Aggregate, key=Annotated[str, Tag("Konto")]):
        @decide
        def transfer(self, command: Transfer) -> Iterator[Transferred]:
            yield Transferred(account=command.account)

        @evolve
        def transferred(self, event: Transferred) -> Self:
            return self

    document = contract_of(Service("bank", aggregates=[Account], publishes=[Transferred]))
    assert flaws(document) == []
    (message,) = document["channels"]["bank.events"]["messages"].values()
    assert at(document, message["$ref"])["name"] == "Überwiesen"
