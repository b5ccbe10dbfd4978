"""What a state's class has of its key: the field ``key`` with a type of its own, and a name for each part of several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from twofold.errors import DeclarationError
from twofold.messages import Key, Part


def check_key(
    parts: tuple[Part, ...],
    bases: tuple[type, ...],
    namespace: Mapping[str, Any],
    location: Callable[[], str],
    *,
    may_be_composite: bool,
) -> None:
    """Check that a class which is being made can have a key.

    Raises:
        DeclarationError: it has several parts and may not; a base has such a key; or something else is called like a part.
    """
    if any(isinstance(getattr(base, "state_key", None), tuple) for base in bases):
        raise DeclarationError(
            f"{location()}: the class that it is derived from has a composite key already, and its rows are called by that. "
            "Leave out key=…, or derive it from View."
        )
    if len(parts) == 1:
        return
    if not may_be_composite:
        raise DeclarationError(
            f"{location()}: only views are found by several identities together. Make one identity of what is decided on, as "
            "in Annotated[str, Tag('membership')], or decide on several states: a function with @decide that takes them."
        )
    taken = {*namespace, *namespace.get("__annotations__", ())}
    taken.update(*[vars(each) for base in bases for each in base.__mro__])
    for part in parts:
        if part.name in taken:
            raise DeclarationError(
                f"{location()}: {part.name!r} is a part of the key and something else too, a field perhaps. Leave the field "
                "out if it is the same, as the key has it, and give it another name otherwise."
            )


def keyed(base: Any, parts: tuple[Part, ...]) -> type:
    """Return a state's base class with the key's own type, so that columns, schemas and decoding know it."""
    body = _composite(base, Key(parts)) if len(parts) > 1 else {"__annotations__": {"key": parts[0].annotation}}
    body |= {"__module__": base.__module__, "__qualname__": base.__qualname__}
    made: type = msgspec.StructMeta.__new__(type(base), base.__name__, (base,), body, frozen=True, kw_only=True)
    return made


def _composite(base: Any, key: Key) -> dict[str, Any]:
    """Return what a class has whose key has several parts: each of them by its name, and a look at every new key."""
    inherited = getattr(base, "__post_init__", None)

    def check(state: Any) -> None:
        key.check(state.key, type(state).__name__)
        if inherited is not None:
            inherited(state)

    kinds = tuple.__class_getitem__(tuple([part.annotation for part in key.parts]))
    named = {name: property(partial(_nth, number)) for number, name in enumerate(key.names)}
    return {**named, "__annotations__": {"key": kinds}, "__post_init__": check}


def _nth(number: int, state: Any) -> Any:
    return state.key[number]
