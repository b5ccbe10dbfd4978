"""What an identity is: a value of a type that has one text for each value.

By that text memory, log, views, keys and HTTP agree on which two are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal, get_args, get_origin
from uuid import UUID

from twofold.errors import DeclarationError, InvalidMessage

LONGEST_IDENTITY = 500
"""Characters of a text that is an identity: as many as every database has room for in an index, whatever they are."""

_LEAST, _MOST = -(2**63), 2**63 - 1


def identity_text(value: Any) -> str:
    """Return the one text of an identity: a text as it is, a number in digits, a UUID in lower case, a date as in ISO 8601.

    An enum's member has the text of its value. Texts are compared exactly: case, spaces and accents make a difference.

    >>> identity_text("Ann "), identity_text(7), identity_text(UUID("6BA7B8109DAD11D180B400C04FD430C8"))
    ('Ann ', '7', '6ba7b810-9dad-11d1-80b4-00c04fd430c8')

    Raises:
        InvalidMessage: it is no identity, or one that not every database could keep.
    """
    kind = type(value)
    if kind is str:
        if len(value) <= LONGEST_IDENTITY and value.isascii() and "\0" not in value:
            return value  # type: ignore[no-any-return]
        return _checked(value)
    if kind is int:
        if _LEAST <= value <= _MOST:
            return str(value)
        raise InvalidMessage(f"A number beyond 64 bits is no identity: Expected `int` from {_LEAST} to {_MOST}.")
    if isinstance(value, Enum):
        return identity_text(value.value)
    if kind is date or isinstance(value, UUID):
        return str(value)
    raise InvalidMessage(f"A {kind.__name__} is no identity, and {value!r:.40} is one. {_EXPECTED}")


def _checked(text: str) -> str:
    shown = ascii(text[:20]) + ("…" if len(text) > 20 else "")
    if len(text) > LONGEST_IDENTITY:
        raise InvalidMessage(
            f"{shown} is no identity: Expected text of at most {LONGEST_IDENTITY} characters, and it has {len(text)}."
        )
    if "\0" in text:
        raise InvalidMessage(f"{shown} is no identity: Expected text without NUL characters.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidMessage(
            f"{shown} is no identity: it has half of a surrogate pair, which is no character."
        ) from None
    return text


_EXPECTED = "An identity is a str, an int, a UUID, a date, or an Enum of texts or of whole numbers."


def identity_type(annotation: Any, where: str) -> type:
    """Return the class that all values of an identity have.

    >>> identity_type(Annotated[Literal["ann", "bob"], "any marks"], "bank.Deposit.account")
    <class 'str'>

    Raises:
        DeclarationError: it is a type in which two equal values can have different texts, or different ones the same.
    """
    plain = unmarked(annotation)
    if plain in (str, int, UUID, date):
        return plain  # type: ignore[no-any-return]
    if isinstance(plain, type) and issubclass(plain, Enum) and _is_of_one_kind(each.value for each in plain):
        return plain
    if get_origin(plain) is Literal and _is_of_one_kind(get_args(plain)):
        return type(get_args(plain)[0])
    raise DeclarationError(
        f"{where} is an identity and a {getattr(plain, '__name__', plain)}, in which it is not certain which two are the "
        f"same: memory and the log, which knows it as text, could differ about that. {_EXPECTED} Annotate it with one, as in "
        "Annotated[str, Tag('account')], and keep anything else in a field of its own."
    )


def _is_of_one_kind(values: Iterable[Any]) -> bool:
    return {type(each) for each in values} in ({str}, {int})


def unmarked(hint: Any) -> Any:
    """Return a type without what it is annotated with, and what stands behind another name for it.

    >>> from typing import NewType
    >>> unmarked(Annotated[NewType("Name", str), "any marks"])
    <class 'str'>
    """
    while True:
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        elif hasattr(hint, "__supertype__"):
            hint = hint.__supertype__
        elif (named := named_type(hint)) is not hint:
            hint = named
        else:
            return hint


def named_type(hint: Any) -> Any:
    """Return the type that a ``type`` statement gave another name; any other is returned as it is."""
    if type(hint).__name__ == "TypeAliasType":
        return hint.__value__
    origin = get_origin(hint)
    return origin.__value__[get_args(hint)] if type(origin).__name__ == "TypeAliasType" else hint
