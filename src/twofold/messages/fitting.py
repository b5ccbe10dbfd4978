"""Whether what one service sends can be what another one takes: two classes side by side, by what JSON has of their fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from twofold.messages.message import Message
from twofold.messages.tags import type_hints

_ARRAYS = (inspect.CollectionType, inspect.TupleType, inspect.NamedTupleType)
_OBJECTS = (inspect.DictType, inspect.TypedDictType, inspect.StructType, inspect.DataclassType)
_ANYTHING = (inspect.AnyType, inspect.RawType, inspect.CustomType)


def misfits(sent: type[Message], taken: type[Message]) -> Iterator[str]:
    """Yield why a message of one class can never be received as one of another, which takes no fields that it does not know.

    Values are not looked at: what a type allows only some of is refused when it comes.

    >>> class Sent(Message):
    ...     item: str
    ...     units: str
    >>> class Taken(Message):
    ...     item: str
    ...     units: int
    ...     order: str
    >>> [*misfits(Sent, Taken)]
    ["its field 'units' is text, and has to be a whole number", "it lacks the field 'order'"]
    """
    given, fields = _fields(sent), _fields(taken)
    for name, kind in given.items():
        if name not in fields:
            yield f"its field {name!r} is not known there: there are {', '.join(fields) or 'none'}"
        elif not _fits(kind, fields[name]):
            yield f"its field {name!r} is {_told(kind)}, and has to be {_told(fields[name])}"
    for name in _required(taken):
        if name not in given:
            yield f"it lacks the field {name!r}"


def _fields(message: Any) -> dict[str, inspect.Type]:
    hints: dict[str, Any] = type_hints(message)
    return {field.encode_name: inspect.type_info(hints[field.name]) for field in msgspec.structs.fields(message)}


def _required(message: Any) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(message) if field.required]


def _fits(sent: inspect.Type, taken: inspect.Type) -> bool:
    """Say whether for each kind of value that is sent there is one that is taken."""
    return all(any(_one_fits(one, other) for other in _options(taken)) for one in _options(sent))


def _options(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    if isinstance(kind, inspect.Metadata):
        return _options(kind.type)
    return kind.types if isinstance(kind, inspect.UnionType) else (kind,)


def _one_fits(sent: inspect.Type, taken: inspect.Type) -> bool:
    if isinstance(sent, _ANYTHING) or isinstance(taken, _ANYTHING):
        return True
    said = {*_words(sent)}
    accepted = {*_words(taken), "a whole number"} if "a number" in _words(taken) else {*_words(taken)}
    if not said <= accepted:
        return False
    if isinstance(sent, inspect.CollectionType) and isinstance(taken, inspect.CollectionType):
        return _fits(sent.item_type, taken.item_type)
    if isinstance(sent, inspect.DictType) and isinstance(taken, inspect.DictType):
        return _fits(sent.value_type, taken.value_type)
    return True


def _words(kind: inspect.Type) -> list[str]:
    """Return what JSON calls the values of a type."""
    if isinstance(kind, inspect.LiteralType):
        return [_words(inspect.type_info(type(each)))[0] for each in kind.values]
    if isinstance(kind, inspect.EnumType):
        return [_words(inspect.type_info(type(each.value)))[0] for each in kind.cls]
    named = {
        inspect.NoneType: "null",
        inspect.BoolType: "true or false",
        inspect.IntType: "a whole number",
        inspect.FloatType: "a number",
    }
    if isinstance(kind, _ARRAYS):
        return ["a list"]
    if isinstance(kind, _OBJECTS):
        return ["an object"]
    return [named.get(type(kind), "text")]


def _told(kind: inspect.Type) -> str:
    words = [word for option in _options(kind) for word in ([] if isinstance(option, _ANYTHING) else _words(option))]
    return " or ".join(dict.fromkeys(words)) or "anything"
