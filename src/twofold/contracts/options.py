"""A schema as a list of options, none of which is one of several types or a choice: what can be compared one by one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

import msgspec

from twofold.messages.schemas import resolved

Json: TypeAlias = dict[str, Any]

_MOST_TOLD = 12
_WORDS = {
    "null": "null",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "an object",
}
_FORMAT_WORDS = {
    "date-time": "a moment in a time zone",
    "date-time-local": "a moment without a time zone",
    "date": "a date",
    "time": "a time of day in a time zone",
    "partial-time": "a time of day without a time zone",
    "duration": "a length of time",
    "uuid": "a UUID",
    "decimal": "a decimal as text",
}
_FORMATS: dict[str, type] = {
    "date-time": datetime,
    "date-time-local": datetime,
    "date": date,
    "time": time,
    "partial-time": time,
    "duration": timedelta,
    "uuid": UUID,
    "decimal": Decimal,
}


def options(schema: Json, components: Mapping[str, Json]) -> list[Json]:
    """Return what a value may be, each with one type at most; of an enumeration, each value by itself.

    >>> options({"type": ["string", "null"]}, {})
    [{'type': 'string'}, {'type': 'null'}]
    """
    schema = resolved(schema, components)
    if "anyOf" in schema:
        return [option for each in schema["anyOf"] for option in options(each, components)]
    if "enum" in schema:
        return [exactly(value) for value in schema["enum"]]
    if isinstance(schema.get("type"), list):
        return [_of_type(schema, each) for each in schema["type"]]
    return [schema]


def _of_type(schema: Json, name: str) -> Json:
    """Return one of a schema's types; how a text is written says nothing of a number."""
    return {key: value for key, value in schema.items() if key != "format" or name == "string"} | {"type": name}


def exactly(value: Any) -> Json:
    """Return the schema of one value, with as much said of it as of others.

    >>> exactly([7])
    {'type': 'array', 'items': [{'type': 'integer', 'const': 7, 'minimum': 7, 'maximum': 7}], 'minItems': 1, \
'additionalItems': False}
    """
    match value:
        case None:
            return {"type": "null", "const": None}
        case bool():
            return {"type": "boolean", "const": value}
        case int() | float():
            kind = "integer" if isinstance(value, int) else "number"
            return {"type": kind, "const": value, "minimum": value, "maximum": value}
        case str():
            return {"type": "string", "const": value, "minLength": len(value), "maxLength": len(value)}
        case dict():
            fields = {name: exactly(each) for name, each in value.items()}
            return {"type": "object", "properties": fields, "required": [*fields]}
        case _:
            items = [exactly(each) for each in value]
            return {"type": "array", "items": items, "minItems": len(items), "additionalItems": False}


def is_like(value: str, pattern: str) -> bool:
    """Say whether a text is like a pattern."""
    return re.search(pattern, value) is not None


def is_written_as(value: str, format: str) -> bool:
    """Say whether a text is what a format names, as far as that is known."""
    kind = _FORMATS.get(format)
    try:
        return kind is None or msgspec.convert(value, kind) is not None
    except msgspec.ValidationError:
        return False


# In words.


def told(choices: Sequence[Json]) -> str:
    """Return what a value may be, as it stands in a sentence.

    >>> told([{"type": "integer"}, {"type": "null"}])
    'a whole number or null'
    """
    words = [*dict.fromkeys(map(_told, choices))]
    if len(words) > _MOST_TOLD:
        words = [*words[: _MOST_TOLD - 1], f"one of {len(words) - _MOST_TOLD + 1} more"]
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _told(option: Json) -> str:
    if "const" in option:
        return "null" if option["const"] is None else repr(option["const"])
    if option.get("format") in _FORMAT_WORDS:
        return _FORMAT_WORDS[option["format"]]
    if "contentEncoding" in option:
        return "bytes in base64"
    kind = _WORDS.get(option.get("type", ""), "anything")
    return f"{kind} ({option['title']})" if kind == "an object" and "title" in option else kind
