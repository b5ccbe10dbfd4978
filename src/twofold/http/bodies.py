"""A message from a request's body."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec

from twofold.errors import InvalidMessage
from twofold.http.checks import check_storable, may_be_unstorable
from twofold.http.problems import Problem
from twofold.messages import Message, decoder


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
            detail = f"{self.name}: {error if body else 'there is no body'}. Send one JSON object, in UTF-8."
            raise Problem(400, "not-json", "The body is not JSON", detail) from error
        if self._has_decimals or may_be_unstorable(body):
            check_storable(message)
        return message

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
        fields: Any = msgspec.structs.fields(self.kind)  # type: ignore[arg-type]
        return f". The fields are {', '.join([field.encode_name for field in fields]) or 'none'}."


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
