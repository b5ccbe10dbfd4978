"""That all of an event is stored, by name: what is left out today, another version of the code would fill in differently."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import msgspec

from twofold.errors import DeclarationError
from twofold.messages.message import Event
from twofold.messages.tags import type_hints


def check_kept_whole(event: type[Event]) -> None:
    """Check that what is stored of an event has all of its fields, with their names.

    >>> class Paid(Event, omit_defaults=True):
    ...     amount: int = 1
    >>> check_kept_whole(Paid)
    Traceback (most recent call last):
    twofold.errors.DeclarationError: twofold.messages.keeping.Paid has omit_defaults=True: ...

    Raises:
        DeclarationError: it leaves some out.
    """
    where = f"{event.__module__}.{event.__qualname__}"
    if event.__struct_config__.array_like:
        raise DeclarationError(
            f"{where} has array_like=True: the log would have its values without the names of their fields, and read them as "
            "others once the order of the fields is another. Leave it out."
        )
    for struct in _structs(event, set()):
        if struct.__struct_config__.omit_defaults:
            name = f"{struct.__module__}.{struct.__qualname__}"
            whose = name if name == where else f"{name}, which is in {where},"
            raise DeclarationError(
                f"{whose} has omit_defaults=True: the log would not have what is left out, and another default would change "
                "what happened. Leave it out: what is stored already is read as before."
            )


def _structs(kind: Any, seen: set[Any]) -> Iterator[type[msgspec.Struct]]:
    """Yield a struct, and those that are within its fields, whatever these are made of."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in seen:
        seen.add(kind)
        yield kind
        for hint in type_hints(kind).values():
            yield from _structs(hint, seen)
    for part in get_args(kind):
        yield from _structs(part, seen)
