"""From messages to bytes and back: JSON for whatever is said, and what is stored of events.

Every event becomes stored bytes by its `writer`, and stored bytes become an event by its `reader`: for the log, states, views
and the inbox, and for the check. What is stored otherwise than it is said, such as an encrypted field, is so in these two.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import msgspec

from twofold.errors import DeclarationError, InvalidMessage
from twofold.messages.message import Event, Message
from twofold.messages.sameness import difference
from twofold.messages.upcasts import upcasts

M = TypeVar("M", bound=Message)
E = TypeVar("E", bound=Event)

_encoder = msgspec.json.Encoder(decimal_format="string")

encode: Callable[[Any], bytes] = _encoder.encode
"""Encode any message or value as JSON, compactly and the same way each time."""


@functools.cache
def decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """Return the one decoder of a type; making it is dear, using it is not."""
    return msgspec.json.Decoder(kind)


def decode(kind: type[M], data: bytes) -> M:
    """Decode and validate a message from outside.

    Raises:
        InvalidMessage: it is not JSON or does not fit; the text names the field.
    """
    try:
        return cast("M", decoder(kind).decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidMessage(f"{kind.message_name}: {error}") from error


def received(message: M) -> M:
    """Return a message as it would be received as JSON: so it is the same one, whether it comes from Python or over HTTP.

    Raises:
        InvalidMessage: it does not fit its type, or would come as something else; the text names the field.
    """
    kind = type(message)
    try:
        back = cast("M", decoder(kind).decode(encode(message)))
        differs = back != message
    except (msgspec.MsgspecError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise InvalidMessage(f"{kind.message_name}: {error}") from error
    if differs and (path := difference(message, back)):
        raise InvalidMessage(
            f"{kind.message_name}: {path} would be received as something else than what it is. Give it a value of its type."
        )
    return back


def plain(value: Any) -> Any:
    """Return a value as it comes back from JSON where nobody knows its type; of what JSON has no word for, its text.

    >>> from decimal import Decimal
    >>> plain((1, Decimal("2.50"))), plain(1j)
    ([1, '2.50'], '1j')
    """
    try:
        return msgspec.json.decode(encode(value))
    except (TypeError, ValueError, OverflowError, RecursionError):
        return str(value).encode("utf-8", "backslashreplace").decode()


# What is stored of events.


def writer(event: type[E]) -> Callable[[E], bytes]:
    """Return the function that makes of the class's events what is stored of them; what `reader` returns reads it."""
    return encode


@functools.cache
def reader(event: type[E], version: int) -> Callable[[bytes], E]:
    """Return the function that reads stored data of one version as the event's class.

    An event of another service may be newer than its reader here, which takes the fields that it knows.

    Raises:
        DeclarationError: the class lacks an upcast on the way from that version to its own.
    """
    decode_current = decoder(event).decode
    if version == event.message_version or (version > event.message_version and event.message_source):
        return decode_current
    if version > event.message_version:
        raise DeclarationError(
            f"{event.__module__}.{event.__qualname__} is version {event.message_version}, and the log holds version "
            f"{version}: newer code has written it. Deploy that code here too."
        )
    fields = current_fields(event, version)
    return lambda data: msgspec.convert(fields(data), event, str_keys=True)


@functools.cache
def current_fields(event: type[Event], version: int) -> Callable[[bytes], Any]:
    """Return the function that reads stored data of one version, and brings it up to date without making it an event.

    Raises:
        DeclarationError: the class lacks an upcast on the way from that version to its own.
    """
    steps = upcasts(event, version)

    def read(data: bytes) -> Any:
        fields = msgspec.json.decode(data)
        for step in steps:
            try:
                fields = step(fields)
            except Exception as error:
                raise msgspec.ValidationError(f"{step.__name__} fails on data of an old version: {error!r}") from error
        return fields

    return read
