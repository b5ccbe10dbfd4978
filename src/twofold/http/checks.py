"""What fits its type and could still not be kept: integers beyond 64 bits, NUL characters, decimals that are no numbers."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from twofold.errors import InvalidMessage

LEAST, MOST = -(2**63), 2**63 - 1

_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_MANY_DIGITS = b"0" * len(str(MOST))


def may_be_unstorable(body: bytes) -> bool:
    """Say whether JSON might have integers or text that cannot be stored: nearly never, and known in no time.

    >>> may_be_unstorable(b'{"account":"ann","amount":5}')
    False
    >>> may_be_unstorable(b'{"account":"ann","amount":9223372036854775808}')
    True
    """
    return b"\\u0000" in body or _MANY_DIGITS in body.translate(_DIGITS)


def check_storable(message: Any) -> None:
    """Check that every database can store and compare the values of a message.

    Raises:
        InvalidMessage: one of them cannot be; the text names the field.
    """
    for reason, path in _unstorable(msgspec.to_builtins(message, builtin_types=(Decimal,)), "$"):
        raise InvalidMessage(f"{message.message_name}: {reason} - at `{path}`")


def _unstorable(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if "\0" in value:
            yield "Expected text without NUL characters", path
    elif isinstance(value, int):
        if not LEAST <= value <= MOST:
            yield f"Expected `int` from {LEAST} to {MOST}", path
    elif isinstance(value, Decimal):
        if not value.is_finite():
            yield "Expected `decimal` that is a number", path
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _unstorable(name, path)
            yield from _unstorable(each, f"{path}.{name}")
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from _unstorable(each, f"{path}[{index}]")
