"""A query's fields as parameters of its path: those with one value, and lists of such."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from twofold.errors import InvalidMessage
from twofold.http.checks import check_storable
from twofold.http.problems import Problem
from twofold.http.schemas import tightened
from twofold.messages import Message
from twofold.messages.schemas import REFERENCE, resolved

_PLUS = ". In a query string + stands for a space: write it as %2B, as in 2030-01-31T12:00:00%2B01:00"
_NOT_ENCODED = re.compile(rb"%(?![0-9A-Fa-f]{2})")
# Read leniently, as parameters are, it would be seconds since 1970, or a length in seconds.
_NUMBER = re.compile(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?")
_TIMES = {"date-time", "date", "time", "duration"}
_SCALARS = {"string", "integer", "number", "boolean", "null"}


class Parameters:
    """How a message is read from a query string. ``suffice`` says whether all that it requires can be given there."""

    def __init__(self, kind: type[Message]) -> None:
        self._kind = kind
        (schema,), components = msgspec.json.schema_components([kind], ref_template=REFERENCE)
        shape = resolved(schema, components)
        self._schemas: dict[str, Any] = shape.get("properties", {})
        self._required = set(shape.get("required", ()))
        self._repeatable = {name for name, each in self._schemas.items() if _is_list(each, components)}
        single = {name for name, each in self._schemas.items() if _is_scalar(each, components)}
        self._moments = {name for name, each in self._schemas.items() if _is_moment(each, components)}
        self._names = [name for name in self._schemas if name in single | self._repeatable]
        self.suffice = self._required <= set(self._names)

    def read(self, query_string: bytes) -> Any:
        """Return the message.

        Raises:
            InvalidMessage: a parameter is unknown, missing, given twice, does not fit, or could not be compared.
            Problem: the query string is not UTF-8 in percent-encoding.
        """
        values: dict[str, Any] = {}
        for name, value in parsed(query_string):
            if name in self._moments and _NUMBER.fullmatch(value):
                raise InvalidMessage(
                    f"{self._kind.message_name}: Expected text as in JSON, got a number - at `$.{name}`"
                )
            if name in self._repeatable:
                values.setdefault(name, []).append(value)
            elif name in values:
                raise InvalidMessage(f"{self._kind.message_name}: Parameter given twice - at `$.{name}`")
            else:
                values[name] = value
        try:
            message = msgspec.convert(values, self._kind, strict=False)
        except msgspec.ValidationError as error:
            hint = _PLUS if b"+" in query_string else ""
            raise InvalidMessage(f"{self._kind.message_name}: {error}{hint}") from error
        check_storable(message)
        return message

    def described(self, components: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the parameters for OpenAPI."""
        return [self._described(name, self._schemas[name]) for name in self._names]

    def _described(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        schema = tightened(schema)
        required = name in self._required
        if required and name in self._repeatable:
            # A list without elements would be a parameter that is missing.
            schema = {"minItems": 1, **schema}
        parameter = {"name": name, "in": "query", "required": required, "schema": schema}
        if "description" in schema:
            parameter["description"] = schema["description"]
        return parameter


def parsed(query_string: bytes) -> list[tuple[str, str]]:
    """Return the names and values of a query string.

    Raises:
        Problem: it is not UTF-8 in percent-encoding.
    """
    if found := _NOT_ENCODED.search(query_string):
        raise _unreadable(f"after % at {found.start()} there are no two hexadecimal digits; % itself is written %25")
    try:
        return parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise _unreadable(str(error)) from error


def _unreadable(flaw: str) -> Problem:
    return Problem(
        400,
        "invalid-parameters",
        "The parameters cannot be read",
        f"They have to be UTF-8 in percent-encoding: {flaw}.",
    )


def _is_scalar(schema: dict[str, Any], components: Mapping[str, Any]) -> bool:
    schema = resolved(schema, components)
    if "anyOf" in schema:
        return all(_is_scalar(each, components) for each in schema["anyOf"])
    return schema.get("type") in _SCALARS or "enum" in schema


def _is_moment(schema: dict[str, Any], components: Mapping[str, Any]) -> bool:
    schema = resolved(schema, components)
    inner = [*schema.get("anyOf", ()), *([schema["items"]] if isinstance(schema.get("items"), dict) else ())]
    return schema.get("format") in _TIMES or any(_is_moment(each, components) for each in inner)


def _is_list(schema: dict[str, Any], components: Mapping[str, Any]) -> bool:
    schema = resolved(schema, components)
    items = schema.get("items")
    return schema.get("type") == "array" and isinstance(items, dict) and _is_scalar(items, components)
