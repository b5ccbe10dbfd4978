"""CloudEvents in messages of AMQP, binary mode: attributes are headers, the content type is a property, the data is the body.

Source: AMQP Protocol Binding for CloudEvents 1.0.2, section 3.1, whose properties are RabbitMQ's headers. Its ``cloudEvents:``
is written; ``cloudEvents_`` is read as well, as the binding allows it for clients that cannot have a colon there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from aio_pika import DeliveryMode
from aio_pika import Message as AmqpMessage
from aio_pika.abc import AbstractMessage

from twofold.clock import LAST_DAY_US, moment
from twofold.errors import Undecodable
from twofold.messaging import Message

PREFIX: Final = "cloudEvents:"
_PREFIXES = (PREFIX, "cloudEvents_")
_CONTENT_TYPE = "datacontenttype"
_SHORT_BYTES = 255
_LARGEST = 2**63 - 1
_LAST_DAY_MS = LAST_DAY_US // 1000


def amqp_message(message: Message) -> AmqpMessage:
    """Return a message as RabbitMQ keeps it, on disk; its id and type are where tools of RabbitMQ show them, too."""
    headers: dict[str, Any] = {
        PREFIX + name: value for name, value in message.attributes.items() if name != _CONTENT_TYPE
    }
    return AmqpMessage(
        message.data,
        headers=headers,
        content_type=message.attributes.get(_CONTENT_TYPE),
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=_short(message.attributes["id"]),
        type=_short(message.attributes["type"]),
    )


def routing_key(message: Message) -> str:
    """Return by what other applications choose messages of an exchange: the event's type."""
    return _short(message.attributes["type"]) or ""


def attributes_of(message: AbstractMessage) -> dict[str, str]:
    """Return a message's attributes by their names.

    Raises:
        Undecodable: one of them is nothing that has a text.
    """
    attributes = {_CONTENT_TYPE: message.content_type or ""}
    for header, value in message.headers.items():
        for prefix in _PREFIXES:
            if header.startswith(prefix):
                name = header.removeprefix(prefix)
                attributes[name] = _text(name, value)
    return attributes


def as_it_came(message: AbstractMessage, besides: Mapping[str, str]) -> AmqpMessage:
    """Return a message as it came, with headers besides.

    Two properties would not be taken as they are: by its expiration it would be dropped, and the user's name has to be ours.
    """
    return AmqpMessage(
        message.body,
        headers={**{name: _writable(value) for name, value in message.headers.items()}, **besides},
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        delivery_mode=DeliveryMode.PERSISTENT,
        priority=message.priority,
        correlation_id=message.correlation_id,
        reply_to=message.reply_to,
        message_id=message.message_id,
        timestamp=message.timestamp,
        type=message.type,
        app_id=message.app_id,
    )


def _writable(value: Any) -> Any:
    """Return a header's value as the client can write it: it reads more than it writes, and rounds numbers with a fraction."""
    match value:
        case bytes():
            return bytearray(value)
        case float():
            return repr(value)
        case int() if value > _LARGEST:
            return str(value)
        case list():
            return [_writable(each) for each in value]
        case dict():
            return {name: _writable(each) for name, each in value.items()}
    return value


def _text(name: str, value: object) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() if name == "time" and 0 <= value < _LAST_DAY_MS:
            # What a time is in AMQP 1.0, for which the binding is written.
            return moment(value * 1000).isoformat()
        case int():
            return str(value)
        case datetime():
            return value.isoformat()
    raise Undecodable(f"its attribute {name!r} is {value!r}, and a text is expected")


def _short(text: str) -> str | None:
    """Return a text if it fits into a property of AMQP."""
    return text if len(text.encode()) <= _SHORT_BYTES else None
