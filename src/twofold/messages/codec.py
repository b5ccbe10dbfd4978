"""From messages to bytes and back: JSON, old versions included."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

import msgspec

from twofold.errors import DeclarationError, InvalidMessage
from twofold.messages.locations import source_location
from twofold.messages.message import Event, Message
from twofold.messages.sameness import difference

M = TypeVar("M", bound=Message)
E = TypeVar("E", bound=Event)
Upcast = Callable[[dict[str, Any]], dict[str, Any]]

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


def upcast(version: int) -> Callable[[Upcast], staticmethod[[dict[str, Any]], dict[str, Any]]]:
    """Declare how stored data of ``version`` becomes data of the next one.

    Events are kept as they were written; they are brought up to date, step by step, when they are read.

    >>> class Deposited(Event, version=2):
    ...     account: str
    ...     cents: int
    ...     @upcast(1)
    ...     def whole_units_became_cents(data):
    ...         return {"account": data["account"], "cents": data["amount"] * 100}
    >>> reader(Deposited, 1)(b'{"account":"ann","amount":5}')
    Deposited(account='ann', cents=500)
    """

    def mark(function: Upcast) -> staticmethod[[dict[str, Any]], dict[str, Any]]:
        if type(version) is not int or not inspect.isfunction(function) or inspect.iscoroutinefunction(function):
            raise DeclarationError(
                f"{source_location(function)}: write @upcast(1), with the version that it takes, before a plain `def`; it can "
                "be neither async nor a method."
            )
        takes = inspect.signature(function).parameters.values()
        if len([each for each in takes if each.default is each.empty]) != 1 or inspect.isgeneratorfunction(function):
            raise DeclarationError(
                f"{source_location(function)}: an upcast takes the fields of the old version, as a dict, and nothing else, "
                "and returns those of the next: def …(data): return {**data, 'currency': 'EUR'}."
            )
        function.__upcasts__ = version  # type: ignore[attr-defined]
        return staticmethod(function)

    return mark


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


def upcasts(event: type[Event], version: int = 1) -> list[Upcast]:
    """Return the steps that stored data takes from a version to the event's own.

    Raises:
        DeclarationError: one is missing.
    """
    return [_upcast_from(event, each) for each in range(version, event.message_version)]


def _upcast_from(event: type[Event], version: int) -> Upcast:
    for owner in event.__mro__:
        for member in vars(owner).values():
            function = getattr(member, "__func__", None)
            if getattr(function, "__upcasts__", None) == version:
                return cast("Upcast", function)
    raise DeclarationError(
        f"{event.__module__}.{event.__qualname__} is version {event.message_version} and has no @upcast({version}): say how "
        f"data of version {version} becomes data of version {version + 1}, in {source_location(event)}."
    )
