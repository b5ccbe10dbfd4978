"""A message from a request's body."""

from __future__ import annotations

import json
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from contextlib import suppress
from typing import Any

import msgspec

from twofold.errors import InvalidMessage
from twofold.http.checks import check_storable, may_be_unstorable
from twofold.http.problems import Problem
from twofold.messages import Message, decoder

_OTHER_FORMS = {
    BOM_UTF8: "it begins with a byte order mark, which JSON has not",
    BOM_UTF16_LE: "it is in UTF-16",
    BOM_UTF16_BE: "it is in UTF-16",
    b"\x1f\x8b": "it is compressed with gzip, and is to be sent as it is",
    b"{\0": "it is in UTF-16 or UTF-32",
    b"\0": "it is in UTF-16 or UTF-32",
}
"""What a body begins with that is JSON in a form that is not read here (RFC 8259 has it in UTF-8)."""


class Body:
    """How messages of one type are read.

    >>> from examples.bank import Deposit
    >>> Body(Deposit).read(b'{"account":"ann","amount":5}')
    Deposit(account='ann', amount=5)
    """

    def __init__(self, kind: type[Message]) -> None:
        self.kind = kind
        self.name = kind.message_name
        self._decode = decoder(kind).decode
        fields: Any = msgspec.structs.fields(kind)  # type: ignore[arg-type]
        self._fields = [field.encode_name for field in fields]
        self._fewest_colons = 0 if kind.__struct_config__.array_like else sum(field.required for field in fields)
        self._has_decimals = '"decimal"' in str(msgspec.json.encode(msgspec.json.schema(kind)))

    def read(self, body: bytes) -> Any:
        """Return the message.

        Raises:
            InvalidMessage: it does not fit its type, or could not be kept; the text names the field.
            Problem: the body is not JSON.
        """
        try:
            message = self._decode(body)
        except msgspec.ValidationError as error:
            message = self._read_leniently(body, error)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._not_json(_why(body, error)) from error
        # Every required field is there, each with a colon: where there are no more of them, nothing is there twice.
        if body.count(b":") > self._fewest_colons and not _has_each_once(body):
            self._check_given_once(body)
        if self._has_decimals or may_be_unstorable(body):
            check_storable(message)
        return message

    def _not_json(self, why: str) -> Problem:
        detail = f"{self.name}: {why}. Send one JSON object, in UTF-8."
        return Problem(400, "not-json", "The body is not JSON", detail)

    def _check_given_once(self, body: bytes) -> None:
        """Check that no object has a field twice: of two values, whoever checked it before may have gone by the other."""
        try:
            json.loads(body, object_pairs_hook=self._once, parse_int=str, parse_float=str)
        except RecursionError as error:
            raise self._not_json("whether a field is there twice cannot be told, as it is nested too deeply") from error

    def _once(self, pairs: list[tuple[str, Any]]) -> None:
        if len(dict(pairs)) < len(pairs):
            (name, _), *_ = Counter(name for name, _ in pairs).most_common(1)
            raise self._not_json(f"the field {name!r} is there twice in one object")

    def _read_leniently(self, body: bytes, error: msgspec.ValidationError) -> Any:
        """Return the message if all that was wrong is that integers are written like ``1.0``, which JSON Schema allows."""
        if "`float`" in str(error):
            with suppress(ValueError, RecursionError):
                return msgspec.convert(_whole(msgspec.json.decode(body)), self.kind)
        raise InvalidMessage(f"{self.name}: {error}{self._hint(str(error))}") from error

    def _hint(self, error: str) -> str:
        """Say which fields there are, where one of the message itself is missing or unknown."""
        if not error.startswith("Object ") or " - at " in error:
            return ""
        return f". The fields are {', '.join(self._fields) or 'none'}."


def _has_each_once(body: bytes) -> bool:
    """Say whether no object has a field twice, as far as that is known at once.

    What is read and written again has lost what was there twice, and so a colon; escapes could make up for one.
    """
    try:
        return b"\\" not in body and msgspec.json.encode(msgspec.json.decode(body)).count(b":") == body.count(b":")
    except (msgspec.MsgspecError, RecursionError):
        return False


def _why(body: bytes, error: Exception) -> str:
    """Say why a body cannot be read, in words for what it is where that can be seen."""
    if not body:
        return "there is no body"
    return next((text for beginning, text in _OTHER_FORMS.items() if body.startswith(beginning)), str(error))


def _whole(value: Any) -> Any:
    """Return JSON with integers in place of numbers that have no fraction."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {name: _whole(each) for name, each in value.items()}
        case list():
            return [_whole(each) for each in value]
    return value
