"""An example of a message: from the examples that its types give, and from their limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from twofold.messages.codec import decoder, encode
from twofold.messages.schemas import resolved

_DEEPEST = 8


def example_of(kind: Any, schema: dict[str, Any], components: Mapping[str, Any]) -> Any:
    """Return an example of a message as JSON has it; None if one would have to know more than the types say.

    >>> from examples.bank import Deposit
    >>> (schema,), components = msgspec.json.schema_components([Deposit])
    >>> example_of(Deposit, schema, components)
    {'account': 'text', 'amount': 1}
    """
    example = example_by(schema, components)
    try:
        decoder(kind).decode(encode(example))
    except msgspec.ValidationError:
        return None
    return example


def example_by(schema: dict[str, Any], components: Mapping[str, Any]) -> Any:
    """Return an example of what a schema describes; it may not be one where that takes more than the schema says."""
    return _example(schema, components, _DEEPEST)


def _example(schema: dict[str, Any], components: Mapping[str, Any], depth: int) -> Any:
    schema = resolved(schema, components)
    for key, choose in _GIVEN.items():
        if key in schema:
            return choose(schema[key])
    if "anyOf" in schema:
        return _example(next(each for each in schema["anyOf"] if each.get("type") != "null"), components, depth)
    if schema.get("type") == "object" and depth:
        fields = schema.get("properties", {}).items()
        return {name: _example(each, components, depth - 1) for name, each in fields}
    if schema.get("type") == "array" and depth:
        items = schema.get("items")
        return [_example(items, components, depth - 1)] if isinstance(items, dict) else []
    return _scalar(schema)


_GIVEN: dict[str, Any] = {
    "examples": lambda values: values[0],
    "default": lambda value: value,
    "const": lambda value: value,
    "enum": lambda values: values[0],
}
_FORMATS = {
    "date-time": "2030-01-31T12:00:00Z",
    "date": "2030-01-31",
    "time": "12:00:00",
    "duration": "PT1H",
    "uuid": "0197b5a4-3c1e-7d3a-9d4f-6c8b5a2e1f00",
    "decimal": "1.50",
}


def _scalar(schema: dict[str, Any]) -> Any:
    match schema.get("type"):
        case "integer":
            return schema.get("exclusiveMinimum", schema.get("minimum", 1) - 1) + 1
        case "number":
            return schema.get("exclusiveMinimum", schema.get("minimum", 0.5)) + 1
        case "boolean":
            return True
        case "string":
            return _FORMATS.get(schema.get("format", ""), "text")
    return None
