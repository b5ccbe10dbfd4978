"""What is published, as messages of a broker: CloudEvents 1.0 in binary mode, one event in each message.

Source: the CloudEvents specification 1.0.2 (attributes, and its extensions for partitioning and distributed tracing). How the
attributes are written into headers is each broker's binding, so an adapter adds a prefix; what they are stands here once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final

import msgspec

from twofold.clock import microseconds, moment
from twofold.errors import Undecodable
from twofold.messaging.message import Delivery, Published

CONTENT_TYPE: Final = "application/json"
"""What the data of each event is."""

POSITION_TYPE: Final = "twofold.position"
"""The type of a message that has no event, and says that nothing was published up to a position."""

_JSON = re.compile(r"application/(.+\+)?json\b|$")


class Message(msgspec.Struct, frozen=True):
    """A message for a broker: a CloudEvent's attributes by their names, its data, and the key within which order holds."""

    attributes: dict[str, str]
    data: bytes
    key: str


def messages(delivery: Delivery) -> Iterator[Message]:
    """Yield a delivery as messages; each says after which position it begins, and up to which there is nothing else.

    Of an event without a position neither is known.
    """
    after = delivery.after
    last = max([event.position for event in delivery.events], default=0)
    for event in delivery.events:
        place: dict[str, str] = {}
        if event.position:
            through = delivery.position if event.position == last else event.position
            place = {"position": str(event.position), "after": str(after), "through": str(through)}
            after = through
        yield Message(_attributes(event) | place, bytes(event.data), event.key)
    if not last and delivery.position > delivery.after:
        yield _position_message(delivery)


def _attributes(event: Published) -> dict[str, str]:
    attributes = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": _timestamp(event.recorded_at_us),
        "datacontenttype": CONTENT_TYPE,
        "dataversion": str(event.version),
    }
    besides = {
        "partitionkey": event.key,
        "correlationid": event.correlation,
        "causationid": event.causation,
        "traceparent": event.traceparent,
        "to": event.to,
        "actor": event.actor,
    }
    return attributes | {name: value for name, value in besides.items() if value}


@lru_cache
def _timestamp(microseconds: int) -> str:
    """Return a moment as CloudEvents have it. Events that were committed together have the same, so it is made once."""
    return moment(microseconds).isoformat().replace("+00:00", "Z")


def _position_message(delivery: Delivery) -> Message:
    """Return a message without an event. All of a source's have one key, so that they come in order among themselves."""
    attributes = {
        "specversion": "1.0",
        "id": f"{POSITION_TYPE}/{delivery.after}-{delivery.position}",
        "source": delivery.source,
        "type": POSITION_TYPE,
        "after": str(delivery.after),
        "through": str(delivery.position),
    }
    return Message(attributes, b"", POSITION_TYPE)


def part_of(attributes: Mapping[str, str], data: bytes, source: str, *, is_redelivered: bool = False) -> Delivery:
    """Return the part of a source's deliveries that a message is.

    Of somebody who keeps no log, ``id`` and ``type`` are enough: then nothing is known of its place among the others.

    Raises:
        Undecodable: it is none; the text says why.
    """
    if attributes.get("source", source) != source:
        raise Undecodable(f"it is of {attributes['source']}, and not of {source}")
    after, through = _number(attributes, "after"), _number(attributes, "through")
    if after > through:
        raise Undecodable(f"it begins after {after} and goes up to {through}")
    if attributes.get("type") == POSITION_TYPE:
        return Delivery(source, [], through, after)
    event = _event(attributes, data, source)
    if event.position and not after < event.position <= through:
        raise Undecodable(f"its position is {event.position}, after {after} and up to {through}")
    return Delivery(source, [event], through, after, int(is_redelivered))


def _event(attributes: Mapping[str, str], data: bytes, source: str) -> Published:
    if attributes.get("datacontenttype", "").startswith("application/cloudevents"):
        raise Undecodable(
            "it is a CloudEvent in structured mode, and binary mode is read here: the attributes as headers"
        )
    for name in ("id", "type"):
        if not attributes.get(name):
            raise Undecodable(f"it has no attribute {name!r}, which every CloudEvent has")
    if attributes.get("specversion", "1.0") != "1.0":
        raise Undecodable(f"it is of CloudEvents {attributes['specversion']}, and 1.0 is read here")
    if not _JSON.match(attributes.get("datacontenttype", "")):
        raise Undecodable(f"its data is {attributes['datacontenttype']}, and JSON is read here")
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"its data is no JSON: {error}") from error
    return Published(
        attributes["id"],
        source,
        attributes["type"],
        _number(attributes, "dataversion", 1),
        attributes.get("partitionkey", ""),
        _number(attributes, "position"),
        _microseconds(attributes.get("time", "")),
        msgspec.Raw(data),
        attributes.get("correlationid", ""),
        attributes.get("traceparent", ""),
        attributes.get("to", ""),
        attributes.get("actor", ""),
        attributes.get("causationid", ""),
    )


def _number(attributes: Mapping[str, str], name: str, default: int = 0) -> int:
    text = attributes.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Undecodable(f"its attribute {name!r} is {text!r}, and a whole number is expected")
    return int(text)


@lru_cache
def _microseconds(text: str) -> int:
    if not text:
        return 0
    try:
        return microseconds(datetime.fromisoformat(text))
    except (ValueError, TypeError, OverflowError) as error:
        raise Undecodable(f"its time is {text!r}, and one like 2027-01-15T08:00:00Z is expected") from error
