"""What fits what, and what breaks whom, judged by what `msgspec` does with values of random types."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.random_types import SHAPES, WITH_DECIMALS, Field, Shape, declared, fields, struct
from tests.contracts.trading import contract_of
from twofold import Command, Event, Service
from twofold.commands import Decider
from twofold.compatibility.examining import examine
from twofold.contracts import breaks
from twofold.contracts.fitting import Misfit, misfits
from twofold.contracts.schemas import read, written
from twofold.log import RecordedEvent
from twofold.messages import MessageType

Change = tuple[dict[str, Field], dict[str, Field]]


@st.composite
def changes(draw: st.DrawFn, shapes: st.SearchStrategy[Shape]) -> Change:
    """Return the fields of a message, and what has become of them: some are others now, or gone, or there are more."""
    before, now = draw(fields(shapes)), draw(fields(shapes))
    kept = {name: before[name] for name in before if draw(st.booleans())}
    return before, {**now, **kept}


def refusals(values: tuple[Any, ...], kind: Any) -> list[Any]:
    """Return those values that are not read as a type."""
    decoder = msgspec.json.Decoder(kind)
    refused = []
    for value in values:
        try:
            decoder.decode(msgspec.json.encode(value))
        except msgspec.ValidationError:
            refused.append(value)
    return refused


def flaws(writer: Shape, reader: Shape, *, is_written: bool = True) -> list[Misfit]:
    (one,), components = (written if is_written else read)([writer.kind], "one.")
    (other,), others = read([reader.kind], "other.")
    return [flaw for flaw in misfits(one, other, components, others) if not flaw.is_lost]


@settings(max_examples=100)
@given(changes(WITH_DECIMALS))
def test_what_is_written_fits_exactly_when_all_of_it_can_be_read(change: Change) -> None:
    """Nothing is told in vain, and nothing that is told could have been written by one and read by the other."""
    before, now = map(struct, change)
    for writer, reader in ((before, now), (now, before)):
        found, refused = flaws(writer, reader), refusals(writer.values, reader.kind)
        assert bool(found) == bool(refused), (found, refused)


@settings(max_examples=100)
@given(changes(WITH_DECIMALS))
def test_what_is_sent_fits_exactly_when_all_of_it_is_taken(change: Change) -> None:
    """A sender leaves out what has a default, and may write a decimal as a number."""
    sender, reader = map(struct, change)
    found, refused = flaws(sender, reader, is_written=False), refusals(sender.values + sender.optional, reader.kind)
    assert bool(found) == bool(refused), (found, refused)


def service(event: dict[str, Field], command: dict[str, Field]) -> tuple[Service, Any, Any]:
    """Return a service that publishes an event and decides on a command, and both."""
    made: Any = MessageType("Made", (Event,), declared(event))
    make: Any = MessageType("Make", (Command,), declared(command))
    decider = Decider(make, (), lambda command, context: (), (made,), "make")
    return Service("maker", decisions=[decider], publishes=[made]), made, make


def stored(value: Any) -> RecordedEvent:
    return RecordedEvent(1, "", "Made", 1, b"[]", msgspec.json.encode(value), b"{}", 0)


@settings(max_examples=100)
@given(changes(SHAPES), changes(SHAPES))
def test_who_is_broken_is_told_exactly_when_somebody_is(event: Change, command: Change) -> None:
    """Consumers read all that was published, senders send all that was taken, and the log has all that was written."""
    old, sender = struct(event[0]), struct(command[0])
    before, _, _ = service(event[0], command[0])
    now, made, make = service(event[1], command[1])
    broken = {each.kind for each in breaks(contract_of(before), [now.declaration])}
    expected = {
        "consumer": bool(refusals(struct(event[1]).values, old.read)),
        "sender": bool(refusals(sender.values + sender.optional, make)),
        "stored event": any(examine(made, stored(value))[1] for value in old.values),
    }
    assert broken == {kind for kind, is_broken in expected.items() if is_broken}, (broken, expected)


@settings(max_examples=100)
@given(fields(WITH_DECIMALS))
def test_every_message_fits_itself(message: dict[str, Field]) -> None:
    """Code that has not changed breaks nobody."""
    assert not flaws(struct(message), struct(message))
    assert not flaws(struct(message), struct(message), is_written=False)


def tree(leaf: str) -> dict[str, Any]:
    """Return the schemas of a syntax tree, whose nodes have any other node as their parts."""
    names = [f"Node{number}" for number in range(12)]
    part = {"anyOf": [{"$ref": f"#/components/schemas/{each}"} for each in [*names, "Leaf"]]}
    fields = {name: {"left": part, "right": part} for name in names} | {"Leaf": {"value": {"type": leaf}}}
    return {
        name: {"type": "object", "properties": {"type": {"enum": [name]}, **own}, "required": ["type", *own]}
        for name, own in fields.items()
    }


def test_types_that_are_parts_of_each_other_are_compared_once() -> None:
    """Whichever ways lead from one to the other, a comparison ends, and tells once what is wrong with a part of all."""
    root = {"$ref": "#/components/schemas/Node0"}
    assert misfits(root, root, tree("string"), tree("string")) == []
    (found,) = misfits(root, root, tree("string"), tree("integer"))
    assert found.path == "left.value"
