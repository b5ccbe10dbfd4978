"""Attributes as fields of an entry. CloudEvents has no binding for Redis: this one is like that for Kafka."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from twofold.errors import Undecodable

_PREFIX: Final = "ce_"
_CONTENT_TYPE: Final = "content-type"
_DATA: Final = b"data"


class Entry(msgspec.Struct, frozen=True):
    """An entry of a stream: its id, and its fields as they are there."""

    id: bytes
    fields: Mapping[bytes, bytes]

    @property
    def data(self) -> bytes:
        """What the event says."""
        return self.fields.get(_DATA, b"")


def fields_of(attributes: Mapping[str, str], data: bytes) -> list[str | bytes]:
    """Return what is in a message as names and values in turn.

    >>> fields_of({"id": "1", "datacontenttype": "application/json"}, b"{}")
    ['ce_id', '1', 'content-type', 'application/json', b'data', b'{}']
    """
    fields: list[str | bytes] = []
    for name, value in attributes.items():
        fields += (_CONTENT_TYPE if name == "datacontenttype" else f"{_PREFIX}{name}", value)
    return [*fields, _DATA, data]


def attributes_of(entry: Entry) -> dict[str, str]:
    """Return the attributes that are among an entry's fields.

    Raises:
        Undecodable: one of them is no text.
    """
    attributes: dict[str, str] = {}
    for field, value in entry.fields.items():
        name = field.decode(errors="replace")
        if name == _CONTENT_TYPE:
            attributes["datacontenttype"] = _text(name, value)
        elif name.startswith(_PREFIX):
            attributes[name.removeprefix(_PREFIX)] = _text(name, value)
    return attributes


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise Undecodable(f"its field {name} is {value!r}, which is no UTF-8") from error
