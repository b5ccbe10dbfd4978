"""What is published is a CloudEvent 1.0, and comes back as it was; what is none is told with its reason."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.errors import Undecodable
from twofold.messaging import Delivery, Published, messages, part_of

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
RECORDED_AT_US = st.integers(0, 4_000_000_000_000_000)
EVENTS = st.builds(
    Published,
    id=TEXT,
    source=st.just("till"),
    type=TEXT.filter(lambda name: name != "twofold.position"),
    version=st.integers(1, 99),
    key=st.just("") | TEXT,
    position=st.integers(1, 2**60),
    recorded_at_us=RECORDED_AT_US,
    data=st.sampled_from([b"{}", b'{"n": 1.0,  "text":"\xc3\x84 \\u0000"}', b"null"]).map(msgspec.Raw),
    correlation=st.just("") | TEXT,
    traceparent=st.just("") | TEXT,
    to=st.just("") | TEXT,
    actor=st.just("") | TEXT,
    causation=st.just("") | TEXT,
)


def contents(event: Published) -> tuple[Any, ...]:
    return (*[getattr(event, name) for name in event.__struct_fields__ if name != "data"], bytes(event.data))


@given(EVENTS)
def test_an_event_comes_back_as_it_was(event: Published) -> None:
    """All that it has, and its data to the byte."""
    delivery = Delivery("till", [event], event.position + 3, event.position - 1)
    (message,) = messages(delivery)
    part = part_of(message.attributes, message.data, "till")
    assert (part.after, part.position) == (delivery.after, delivery.position)
    assert contents(part.events[0]) == contents(event)
    assert message.key == event.key


def test_a_stretch_without_events_is_a_message_too() -> None:
    """Whoever waits for a receipt of the source learns from it that there is nothing to wait for."""
    delivery = Delivery("till", [], 9, 4)
    (message,) = messages(delivery)
    assert part_of(message.attributes, message.data, "till") == delivery


def test_what_has_no_position_breaks_no_chain() -> None:
    """A bridge carries it on between events of a log, each of which begins where the one before it ends."""
    given = [published(3), published(0), published(5)]
    parts = [part_of(each.attributes, each.data, "till") for each in messages(Delivery("till", given, 9, 2))]
    assert [(part.after, part.position) for part in parts] == [(2, 3), (0, 0), (3, 9)]
    assert [*messages(Delivery("till", [], 9, 9))] == []


def published(position: int) -> Published:
    return Published(f"id-{position}", "till", "Sold", 1, "item:tea", position, 5, msgspec.Raw(b"{}"))


def test_who_keeps_no_log_needs_an_id_and_a_type() -> None:
    """All else has a default, as far as CloudEvents 1.0 has one."""
    part = part_of({"id": "1", "type": "Sold"}, b'{"a": 1}', "till", is_redelivered=True)
    (event,) = part.events
    assert (event.source, event.version, event.position, event.key) == ("till", 1, 0, "")
    assert (part.position, part.redelivered) == (0, 1)


WRONG: dict[str, tuple[dict[str, str], bytes, str]] = {
    "no id": ({"type": "Sold"}, b"{}", "no attribute 'id'"),
    "no type": ({"id": "1"}, b"{}", "no attribute 'type'"),
    "another's": ({"id": "1", "type": "Sold", "source": "stock"}, b"{}", "of stock, and not of till"),
    "another version": ({"id": "1", "type": "Sold", "specversion": "2.0"}, b"{}", "CloudEvents 2.0"),
    "other data": ({"id": "1", "type": "Sold", "datacontenttype": "application/avro"}, b"{}", "application/avro"),
    "structured mode": ({"datacontenttype": "application/cloudevents+json"}, b"{}", "binary mode is read here"),
    "broken data": ({"id": "1", "type": "Sold"}, b"{", "no JSON"),
    "no text": ({"id": "1", "type": "Sold"}, b'"\xff"', "no JSON"),
    "no data": ({"id": "1", "type": "Sold"}, b"", "no JSON"),
    "nested too deeply": ({"id": "1", "type": "Sold"}, b"[" * 100_000, "no JSON"),
    "no position": ({"id": "1", "type": "Sold", "position": "-1"}, b"{}", "'position' is '-1'"),
    "a position elsewhere": ({"id": "1", "type": "Sold", "position": "7", "through": "6"}, b"{}", "its position is 7"),
    "an end before its begin": ({"id": "1", "type": "Sold", "after": "7", "through": "6"}, b"{}", "after 7"),
    "no time": ({"id": "1", "type": "Sold", "time": "yesterday"}, b"{}", "its time is 'yesterday'"),
    "a time without a zone": ({"id": "1", "type": "Sold", "time": "2027-01-15T08:00:00"}, b"{}", "its time is"),
    "no version": ({"id": "1", "type": "Sold", "dataversion": "two"}, b"{}", "'dataversion' is 'two'"),
}


@pytest.mark.parametrize(("attributes", "data", "reason"), WRONG.values(), ids=WRONG)
def test_what_is_no_event_says_why(attributes: dict[str, str], data: bytes, reason: str) -> None:
    """An operator reads it beside what was set aside."""
    with pytest.raises(Undecodable, match=reason):
        part_of(attributes, data, "till")
