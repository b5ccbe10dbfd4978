"""What the headers of a broker's messages have in them: the attributes that `twofold.messaging.wire` writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from twofold.messages.schemas import REFERENCE
from twofold.messaging.wire import CONTENT_TYPE

_NAME: Final = "CloudEvent"
_TEXT: Final = {"type": "string", "minLength": 1}
_WHOLE_NUMBER: Final = {"type": "string", "pattern": "^[0-9]{1,18}$"}

CLOUD_EVENT: Final[dict[str, Any]] = {
    _NAME: {
        "type": "object",
        "title": "CloudEvents 1.0 in binary mode",
        "description": "Each attribute is a header: `ce_type` on Kafka, `cloudEvents:type` on RabbitMQ, `ce-type` on NATS; on "
        "Redis it is a field `ce_type`. `datacontenttype` is the content type of the message.",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": {"type": "string", "enum": ["1.0"]},
            "id": {**_TEXT, "description": "The same if it comes again: it takes effect once."},
            "source": {**_TEXT, "description": "The service in whose log it is."},
            "type": _TEXT,
            "time": {"type": "string", "format": "date-time", "description": "When the log accepted it."},
            "datacontenttype": {"type": "string", "enum": [CONTENT_TYPE]},
            "dataversion": {**_WHOLE_NUMBER, "description": "Which shape of its type it has: as it was written."},
            "position": {**_WHOLE_NUMBER, "description": "Where in the log of its source it is."},
            "after": {**_WHOLE_NUMBER, "description": "The position behind which there is nothing else before it."},
            "through": {**_WHOLE_NUMBER, "description": "The position up to which there is nothing else behind it."},
            "partitionkey": {**_TEXT, "description": "Order holds among what has the same one."},
            "correlationid": {**_TEXT, "description": "The same for all that one outside request has set off."},
            "causationid": {**_TEXT, "description": "The id of what has directly led to it."},
            "traceparent": {**_TEXT, "description": "The W3C trace that it is part of."},
            "to": {**_TEXT, "description": "The one service that it is for; if missing, it is for all."},
            "actor": {**_TEXT, "description": "Who was the cause, if it is for one service."},
        },
    }
}
"""The schema of all attributes, by the name under which schemas refer to it."""


def headers(source: str, type_: str, to: str = "", tags: Sequence[str] = ()) -> dict[str, Any]:
    """Return the schema of the headers that a type of messages has.

    >>> headers("sales", "InvoiceIssued")["allOf"][1]["properties"]
    {'source': {'enum': ['sales']}, 'type': {'enum': ['InvoiceIssued']}}
    """
    fields: dict[str, Any] = {"source": {"enum": [source]}, "type": {"enum": [type_]}}
    if to:
        fields["to"] = {"enum": [to]}
    if tags:
        fields["partitionkey"] = key_schema(tags)
    return {"allOf": [{"$ref": REFERENCE.format(name=_NAME)}, {"properties": fields}]}


def key_schema(tags: Sequence[str]) -> dict[str, Any]:
    """Return the schema of the key that a message has: the first of its event's tags that it has."""
    return {"anyOf": [{"type": "string", "pattern": f"^{_escaped(tag)}:"} for tag in tags]}


def _escaped(tag: str) -> str:
    return "".join(char if char.isalnum() or char in "_-" else f"\\{char}" for char in tag)
