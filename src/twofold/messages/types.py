"""Which types can be said in JSON: such values can be kept, sent and described, and come back as they were."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from math import isnan
from typing import Any

import msgspec
from msgspec import inspect

from twofold.errors import DeclarationError
from twofold.messages.codec import decoder
from twofold.messages.locations import source_location
from twofold.messages.tags import type_hints

_COLLECTIONS = (list, dict, set, bytearray)
_UNHASHABLE = (
    inspect.ListType,
    inspect.SetType,
    inspect.DictType,
    inspect.TypedDictType,
    inspect.ByteArrayType,
    inspect.MemoryViewType,
)
_NO_KEYS = (
    inspect.BoolType,
    inspect.NoneType,
    inspect.TupleType,
    inspect.VarTupleType,
    inspect.FrozenSetType,
    inspect.StructType,
    inspect.DataclassType,
    inspect.NamedTupleType,
    *_UNHASHABLE,
)
_CURE = (
    "Use a msgspec.Struct, a dataclass, a list or dict of such, or a plain value such as str, int, Decimal or datetime."
)


@functools.cache
def check_fields(cls: type) -> None:
    """Check that every field of a message or a state can be said in JSON, and starts from a value of its own type.

    Raises:
        DeclarationError: one cannot, or does not; the text names the class, its line and the field.
    """
    hints = type_hints(cls)
    fields = msgspec.structs.fields(cls)
    flaw = type_flaw(cls)
    for field in fields:
        own = flaw and type_flaw(hints[field.name])
        if own := own or _default_flaw(field, hints[field.name]):
            raise DeclarationError(f"{source_location(cls)}: its field {field.name!r}: {own}")
    if flaw:
        raise DeclarationError(f"{source_location(cls)}: {flaw}")


def type_flaw(kind: Any) -> str:
    """Return why a type cannot be said in JSON, and what to do; '' if it can.

    >>> type_flaw(list[int])
    ''
    >>> type_flaw(complex).partition(".")[0]
    'complex cannot be said in JSON'
    """
    try:
        decoder(kind)
        return next(_flaws(inspect.type_info(kind), set()), "")
    except NameError as error:
        return f"{error}. Import it outside `if TYPE_CHECKING:`, and declare types at the top of a module."
    except Exception as error:
        return f"{error}."


def _flaws(kind: inspect.Type, seen: set[int]) -> Iterator[str]:
    if id(kind) in seen:
        return
    seen.add(id(kind))
    if isinstance(kind, inspect.CustomType):
        yield f"{_named(kind.cls)} cannot be said in JSON. {_CURE}"
    elif isinstance(kind, inspect.ExtType):
        yield f"msgspec.msgpack.Ext cannot be said in JSON. {_CURE}"
    elif isinstance(kind, inspect.DictType):
        for key in _options(kind.key_type):
            if isinstance(key, _NO_KEYS):
                yield "a dict's keys are text in JSON, so its keys' type is str, int, an enum, a date or the like."
    elif isinstance(kind, (inspect.SetType, inspect.FrozenSetType)):
        for item in _options(kind.item_type):
            if isinstance(item, _UNHASHABLE) or (isinstance(item, inspect.StructType) and not _hashable(item.cls)):
                yield "a set's elements have to be hashable: tuples instead of lists, structs with frozen=True; or use a list."
    for name, part in _parts(kind):
        for flaw in _flaws(part, seen):
            yield f"{name}{flaw}"


def _named(cls: Any) -> str:
    return str(getattr(cls, "__qualname__", cls))


def _hashable(cls: Any) -> bool:
    return bool(cls.__struct_config__.frozen or not cls.__struct_config__.eq)


def _options(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    kind = kind.type if isinstance(kind, inspect.Metadata) else kind
    return kind.types if isinstance(kind, inspect.UnionType) else (kind,)


def _parts(kind: inspect.Type) -> Iterator[tuple[str, inspect.Type]]:
    """Yield the types within a type, each with the field that it is of, if it is of one."""
    for attribute in kind.__struct_fields__:
        value = getattr(kind, attribute)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, inspect.Field):
                yield f"{part.name} of {_named(getattr(kind, 'cls', kind))}: ", part.type
            elif isinstance(part, inspect.Type):
                yield "", part


def _default_flaw(field: msgspec.structs.FieldInfo, hint: Any) -> str:
    """Return why a field's default is no value of it. What a factory makes is looked at only if it is an empty collection."""
    default = field.default_factory() if field.default_factory in _COLLECTIONS else field.default
    if default is msgspec.NODEFAULT or default is msgspec.UNSET:
        return ""
    try:
        read = msgspec.convert(msgspec.to_builtins(default), hint)
    except Exception as error:
        return f"its default {default!r} does not fit its type: {error}."
    if read != default and not (isinstance(default, float) and isnan(default)):
        return f"its default {default!r} is not of its type, which has {read!r} for it."
    return ""
