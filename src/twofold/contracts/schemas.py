"""JSON Schemas of messages as they are written, or as they are read: in draft 7, which is what AsyncAPI takes for granted.

`msgspec` makes them. What it leaves out, because its own decoder knows, is said here: which texts are moments, what keys of a
dictionary are like, and that all fields are there in what is written, also those that a reader could do without.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import inspect

from twofold.folding import alternatives
from twofold.messages import type_hints
from twofold.messages.schemas import REFERENCE, resolved

Json: TypeAlias = dict[str, Any]
Named: TypeAlias = inspect.StructType | inspect.DataclassType | inspect.TypedDictType | inspect.NamedTupleType

_NAMED = (inspect.StructType, inspect.DataclassType, inspect.TypedDictType, inspect.NamedTupleType)
_MOMENTS = {inspect.DateTimeType: ("date-time", "date-time-local"), inspect.TimeType: ("time", "partial-time")}
_ANNOTATIONS = ("default", "examples", "const", "enum", "title", "description")


def written(kinds: Sequence[type], prefix: str) -> tuple[list[Json], dict[str, Json]]:
    """Return references to the schemas of what is written of some classes, and all that these consist of, by name."""
    return _Maker(prefix, is_written=True).schemas(kinds)


def read(kinds: Sequence[type], prefix: str) -> tuple[list[Json], dict[str, Json]]:
    """Return references to the schemas of what is read as some classes, and all that these consist of, by name.

    >>> from examples.bank import Withdraw
    >>> (reference,), components = read([Withdraw], "bank.commands.")
    >>> reference, components["bank.commands.Withdraw"]["required"]
    ({'$ref': '#/components/schemas/bank.commands.Withdraw'}, ['account', 'amount'])
    """
    return _Maker(prefix, is_written=False).schemas(kinds)


class _Maker:
    def __init__(self, prefix: str, *, is_written: bool) -> None:
        self._prefix = prefix
        self._is_written = is_written

    def schemas(self, kinds: Sequence[type]) -> tuple[list[Json], dict[str, Json]]:
        named = {each.cls: each for each in _named_within(inspect.multi_type_info(kinds))}
        reference = REFERENCE.format(name=f"{self._prefix}{{name}}")
        said, made = msgspec.json.schema_components([*kinds, *named], ref_template=reference)
        components = {f"{self._prefix}{name}": each for name, each in made.items()}
        for kind, schema in zip(named.values(), said[len(kinds) :], strict=True):
            self._complete_fields(kind, resolved(schema, components))
        return [*said[: len(kinds)]], {name: _draft_7(each) for name, each in components.items()}

    def _complete_fields(self, kind: Named, schema: Json) -> None:
        by_name = schema.get("properties")
        # The tag of a struct is no field of it, and stands before them.
        parts = schema["prefixItems"] if by_name is None else [*by_name.values()]
        for field, part in zip(kind.fields, parts[len(parts) - len(kind.fields) :], strict=True):
            self._complete(field.type, part)
        if self._is_written and by_name is None:
            schema["minItems"] = len(parts)
        elif self._is_written and by_name is not None:
            # Who reads it ignores what it does not know, whatever the class itself does.
            schema.pop("additionalProperties", None)
            absent = {*_may_be_absent(kind)}
            schema["required"] = [name for name in by_name if name not in absent]

    def _complete(self, kind: inspect.Type, schema: Json) -> None:
        kind = _unmarked(kind)
        if isinstance(kind, (inspect.DateTimeType, inspect.TimeType)):
            _say_moment(kind, schema)
        elif isinstance(kind, inspect.DecimalType) and not self._is_written:
            schema["type"] = ["string", "number"]
        elif isinstance(kind, inspect.CollectionType) and "items" in schema:
            self._complete(kind.item_type, schema["items"])
        elif isinstance(kind, inspect.TupleType):
            for item, part in zip(kind.item_types, schema.get("prefixItems", ()), strict=True):
                self._complete(item, part)
        elif isinstance(kind, inspect.DictType):
            self._complete_dict(kind, schema)
        elif isinstance(kind, inspect.UnionType):
            # Structs, and null, come behind all others.
            others = [each for each in kind.types if not _comes_last(each)]
            for option, part in zip(others, schema["anyOf"], strict=False):
                self._complete(option, part)

    def _complete_dict(self, kind: inspect.DictType, schema: Json) -> None:
        if "additionalProperties" in schema:
            self._complete(kind.value_type, schema["additionalProperties"])
        if names := _property_names(kind.key_type):
            schema["propertyNames"] = names


def _named_within(kinds: Sequence[inspect.Type]) -> Iterator[Named]:
    """Yield the types that have fields, once each."""
    seen: set[int] = set()
    waiting: list[Any] = [*kinds]
    while waiting:
        kind = waiting.pop()
        if id(kind) in seen:
            continue
        seen.add(id(kind))
        if isinstance(kind, _NAMED):
            yield kind
        for value in [getattr(kind, name) for name in kind.__struct_fields__]:
            parts = value if isinstance(value, tuple) else (value,)
            waiting += [each for each in parts if isinstance(each, (inspect.Type, inspect.Field))]


def _unmarked(kind: inspect.Type) -> inspect.Type:
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return kind


def _comes_last(option: inspect.Type) -> bool:
    kind = _unmarked(option)
    return isinstance(kind, inspect.NoneType) or (isinstance(kind, inspect.StructType) and not kind.array_like)


def _may_be_absent(kind: Named) -> Iterator[str]:
    """Yield the fields that what is written of a type may lack."""
    if isinstance(kind, inspect.TypedDictType):
        yield from [field.encode_name for field in kind.fields if not field.required]
        return
    hints = type_hints(getattr(kind.cls, "__origin__", kind.cls))
    for field in kind.fields:
        if msgspec.UnsetType in alternatives(hints[field.name]):
            yield field.encode_name


def _say_moment(kind: inspect.DateTimeType | inspect.TimeType, schema: Json) -> None:
    """Say which moments a text is: in a time zone, in none, or in either."""
    aware, naive = _MOMENTS[type(kind)]
    if kind.tz is None:
        del schema["type"]
        schema["anyOf"] = [{"type": "string", "format": aware}, {"type": "string", "format": naive}]
    else:
        schema["format"] = aware if kind.tz else naive


def _property_names(key: inspect.Type) -> Json:
    """Return what the keys of a dictionary are like, which in JSON are text; `msgspec` says it of those that are texts."""
    key = _unmarked(key)
    match key:
        case inspect.IntType():
            return {"pattern": "^-?[0-9]+$"}
        case inspect.DateType():
            return {"format": "date"}
        case inspect.UUIDType():
            return {"format": "uuid"}
        case inspect.DateTimeType() | inspect.TimeType():
            return {"format": _MOMENTS[type(key)][not key.tz]}
        case inspect.EnumType():
            return {"enum": sorted(str(each.value) for each in key.cls)}
        case inspect.LiteralType():
            return {"enum": sorted(map(str, key.values))}
    return {}


def _draft_7(schema: Any) -> Any:
    """Say in the words of draft 7 what `msgspec` says in those of 2020-12 and of OpenAPI."""
    if isinstance(schema, list):
        return [_draft_7(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {
        name: each if name in _ANNOTATIONS and not isinstance(each, dict) else _draft_7(each)
        for name, each in schema.items()
        if name != "discriminator" or not isinstance(each, dict) or "mapping" not in each
    }
    if isinstance(inner.get("prefixItems"), list):
        rest = inner.pop("items", True)
        inner |= {"items": inner.pop("prefixItems"), "additionalItems": rest}
    return inner
