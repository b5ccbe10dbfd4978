"""Messages as Kafka has them: a CloudEvent in binary mode, what Debezium makes of an outbox, and what is no event.

Source: the Kafka protocol binding of CloudEvents 1.0.2, sections 3.1 to 3.3; Debezium on its outbox event router.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE

from twofold.clock import LAST_DAY_US, moment
from twofold.errors import Undecodable
from twofold.messaging.brokers import Content
from twofold.messaging.wire import Message as WireMessage

Headers: TypeAlias = "list[tuple[str, str | bytes | None]]"
Letter: TypeAlias = "tuple[bytes | None, bytes | None, Headers]"
"""A message as Kafka has it: key, data and headers."""

_PREFIX: Final = "ce_"
_SKIPPED: Final = len(_PREFIX)
_CONTENT_TYPE: Final = "content-type"
_DATA_TYPE: Final = "datacontenttype"
_LAST_DAY_MS: Final = LAST_DAY_US // 1000
_OTHERS: Final = {_CONTENT_TYPE: _DATA_TYPE, "id": "id", "eventType": "type"}
"""Headers without the prefix, and the attributes that they stand for; the last two are what Debezium makes of an outbox."""


def letter_of(message: WireMessage) -> Letter:
    """Return a message as it is published."""
    headers: Headers = [(_PREFIX + name, text) for name, text in message.attributes.items() if name != _DATA_TYPE]
    if _DATA_TYPE in message.attributes:
        headers.append((_CONTENT_TYPE, message.attributes[_DATA_TYPE]))
    return message.key.encode() or None, message.data, headers


def content_of(message: Any) -> Content:
    """Return what is in a message.

    Raises:
        Undecodable: a header that says what it is is no text.
    """
    headers = message.headers() or ()
    try:
        attributes = {name[_SKIPPED:]: value.decode() for name, value in headers if value and name.startswith(_PREFIX)}
        others = {name: value.decode() for name, value in headers if value and name in _OTHERS}
    except UnicodeDecodeError as error:
        raise Undecodable(f"one of its headers is no UTF-8: {error}") from error
    if not attributes:
        attributes = {_OTHERS[name]: text for name, text in others.items()}
    elif _CONTENT_TYPE in others:
        attributes[_DATA_TYPE] = others[_CONTENT_TYPE]
    if "partitionkey" not in attributes and message.key():
        attributes["partitionkey"] = message.key().decode(errors="replace")
    if "time" not in attributes:
        kind, milliseconds = message.timestamp()
        # Producers set it as they like, such as to microseconds, and many of these milliseconds are in no calendar.
        if kind != TIMESTAMP_NOT_AVAILABLE and 0 <= milliseconds < _LAST_DAY_MS:
            attributes["time"] = moment(milliseconds * 1000).isoformat()
    return Content(attributes, message.value() or b"")


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
