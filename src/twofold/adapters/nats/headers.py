"""Attributes as headers: the CloudEvents binding for NATS 1.0.2, section 3.1.3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote

from twofold.errors import Undecodable

_PREFIX: Final = "ce-"
_CONTENT_TYPE: Final = "content-type"
_PUNCTUATION: Final = "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
_PLAIN: Final = re.compile(r"[!#$&-~]*")


def headers_of(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return attributes as headers, whose values are percent-encoded as those of HTTP are.

    >>> headers_of({"id": "1", "partitionkey": "order:Ä b", "datacontenttype": "application/json"})
    {'ce-id': '1', 'ce-partitionkey': 'order:%C3%84%20b', 'content-type': 'application/json'}
    """
    return {
        _CONTENT_TYPE if name == "datacontenttype" else f"{_PREFIX}{name}": _encoded(value)
        for name, value in attributes.items()
    }


def size_of(headers: Mapping[str, str], data: bytes) -> int:
    r"""Return how many bytes a message has for the server, which counts headers with their line ends.

    >>> size_of({"ce-id": "1"}, b"{}") == len(b"NATS/1.0\r\nce-id: 1\r\n\r\n{}")
    True
    """
    lines = sum(len(name.encode()) + len(value.encode()) + 4 for name, value in headers.items())
    return len("NATS/1.0\r\n\r\n") + lines + len(data)


def _encoded(value: str) -> str:
    # Nearly all values have nothing to encode, and looking takes a quarter of the time.
    return value if _PLAIN.fullmatch(value) else quote(value, safe=_PUNCTUATION)


def attributes_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers as attributes; what has another prefix is none.

    Raises:
        Undecodable: a value is no text.
    """
    attributes: dict[str, str] = {}
    for header, value in headers.items():
        name = header.lower()
        if name == _CONTENT_TYPE:
            attributes["datacontenttype"] = value
        elif name.startswith(_PREFIX):
            attributes[name.removeprefix(_PREFIX)] = _text(header, value)
    return attributes


def _text(header: str, value: str) -> str:
    try:
        return unquote(value, errors="strict") if "%" in value else value
    except UnicodeDecodeError as error:
        raise Undecodable(f"its header {header} is {value!r}, which is no UTF-8 in percent-encoding") from error
