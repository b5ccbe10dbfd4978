"""What types' schemas leave out: the limits that `twofold.http.checks` holds all values to."""

from __future__ import annotations

from typing import Any

from twofold.http.checks import LEAST, MOST

_N = "[0-9]{1,6}"
_TIME = f"T({_N}H({_N}M)?({_N}S)?|{_N}M({_N}S)?|{_N}S)"
_DURATION = f"^[+-]?P({_N}D({_TIME})?|{_TIME})$"
_VALUES = ("default", "examples", "const", "enum")


def tightened(schema: Any) -> Any:
    """Return a schema with the limits said that every integer, text and decimal has.

    >>> tightened({"type": "integer", "minimum": 1})
    {'type': 'integer', 'minimum': 1, 'maximum': 9223372036854775807}
    """
    if isinstance(schema, list):
        return [tightened(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: each if name in _VALUES else tightened(each) for name, each in schema.items()}
    if inner.get("format") == "duration":
        # That format has years, months and weeks too, whose length is not said.
        return {**{name: each for name, each in inner.items() if name != "format"}, "pattern": _DURATION}
    return {**inner, **_limits(schema)}


def _limits(schema: dict[str, Any]) -> dict[str, Any]:
    match schema:
        case {"type": "integer"}:
            least = {} if "minimum" in schema or "exclusiveMinimum" in schema else {"minimum": LEAST}
            return least if "maximum" in schema or "exclusiveMaximum" in schema else {**least, "maximum": MOST}
        case {"type": "string", "format": "decimal"}:
            return {"type": ["string", "number"], "pattern": r"^-?[0-9]{1,30}(\.[0-9]{1,30})?$"}
        case {"type": "string"} if not {"pattern", "format", "contentEncoding"} & schema.keys():
            return {"pattern": r"^[^\u0000]*$"}
    return {}
