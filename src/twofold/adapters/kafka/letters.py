"""Messages as Kafka has them: a CloudEvent in binary mode, what Debezium makes of an outbox, and what is no event.

Source: the Kafka protocol binding of CloudEvents 1.0.2, sections 3.1 to 3.3; Debezium on its outbox event router.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE

from twofold.clock import moment
from twofold.errors import Undecodable
from twofold.messaging.brokers import Content
from twofold.messaging.wire import Message as WireMessage

Headers: TypeAlias = "list[tuple[str, str | bytes | None]]"
Letter: TypeAlias = "tuple[bytes | None, bytes | None, Headers]"
"""A message as Kafka has it: key, data and headers."""

_PREFIX: Final = "ce_"
_CONTENT_TYPE: Final = "content-type"
_OUTBOX: Final = {"id": "id", "eventType": "type"}
"""What Debezium's outbox event router is told to write as headers: the attributes that they stand for."""


def letter_of(message: WireMessage) -> Letter:
    """Return a message as it is published."""
    headers: Headers = [
        (_CONTENT_TYPE if name == "datacontenttype" else f"{_PREFIX}{name}", value.encode())
        for name, value in message.attributes.items()
    ]
    return message.key.encode() or None, message.data, headers


def content_of(message: Any) -> Content:
    """Return what is in a message.

    Raises:
        Undecodable: a header that says what it is is no text.
    """
    headers = dict(message.headers() or ())
    attributes = {
        name.removeprefix(_PREFIX): _text(name, value) for name, value in headers.items() if name.startswith(_PREFIX)
    }
    if not attributes:
        attributes = {_OUTBOX[name]: _text(name, headers[name]) for name in _OUTBOX if name in headers}
    if _CONTENT_TYPE in headers:
        attributes["datacontenttype"] = _text(_CONTENT_TYPE, headers[_CONTENT_TYPE])
    if "partitionkey" not in attributes and message.key():
        attributes["partitionkey"] = message.key().decode(errors="replace")
    kind, milliseconds = message.timestamp()
    if "time" not in attributes and kind != TIMESTAMP_NOT_AVAILABLE:
        attributes["time"] = moment(milliseconds * 1000).isoformat()
    return Content(attributes, message.value() or b"")


def _text(name: str, value: bytes | None) -> str:
    try:
        return (value or b"").decode()
    except UnicodeDecodeError as error:
        raise Undecodable(f"its header {name!r} is no UTF-8: {error}") from error


def set_aside_letter(message: Any, source: str, reason: str, now_us: int) -> Letter:
    """Return what is kept of a message that is no event: it itself, and why, whose it is said to be, where it was and when."""
    notes = {
        "twofold-reason": reason,
        "twofold-source": source,
        "twofold-place": f"{message.topic()}/{message.partition()}/{message.offset()}",
        "twofold-time": moment(now_us).isoformat(),
    }
    headers: Headers = [*(message.headers() or ()), *((name, text.encode()) for name, text in notes.items())]
    return message.key(), message.value(), headers
