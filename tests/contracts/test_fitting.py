"""What fits what, judged by what `msgspec` does with random values of random types."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.random_types import SHAPES, Field, Shape, fields, struct
from twofold.contracts.fitting import Misfit, misfits
from twofold.contracts.schemas import read, written

MESSAGES = fields(SHAPES)


@st.composite
def changes(draw: st.DrawFn) -> tuple[Shape, Shape]:
    """Return a message, and what has become of it: some of its fields are others now, or gone, or there are more."""
    before = draw(MESSAGES)
    now = draw(MESSAGES)
    kept = {name: before[name] for name in before if draw(st.booleans())}
    return struct(before), struct({**now, **kept})


def refusals(values: tuple[Any, ...], reader: Shape) -> list[Any]:
    """Return those values that a reader does not take."""
    decoder = msgspec.json.Decoder(reader.kind)
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


@settings(max_examples=300, deadline=None)
@given(changes())
def test_what_is_written_fits_exactly_when_all_of_it_can_be_read(change: tuple[Shape, Shape]) -> None:
    """Events of new code are read by a consumer of the old, and stored events by new code; nothing is told in vain."""
    for writer, reader in (change, change[::-1]):
        found, refused = flaws(writer, reader), refusals(writer.values, reader)
        assert bool(found) == bool(refused), (found, refused)


@settings(max_examples=300, deadline=None)
@given(changes())
def test_what_is_sent_fits_exactly_when_all_of_it_is_taken(change: tuple[Shape, Shape]) -> None:
    """A sender leaves out what has a default, and may write a decimal as a number."""
    sender, reader = change
    found, refused = flaws(sender, reader, is_written=False), refusals(sender.values + sender.optional, reader)
    assert bool(found) == bool(refused), (found, refused)


@settings(max_examples=300, deadline=None)
@given(MESSAGES)
def test_every_message_fits_itself(message: dict[str, Field]) -> None:
    """Code that has not changed breaks nobody."""
    assert not flaws(struct(message), struct(message))
    assert not flaws(struct(message), struct(message), is_written=False)
