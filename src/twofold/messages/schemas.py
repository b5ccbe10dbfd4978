"""JSON Schemas of messages: how those that belong together refer to each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

REFERENCE: Final = "#/components/schemas/{name}"
"""What refers to the schema of a class, in OpenAPI as in AsyncAPI."""


def resolved(schema: dict[str, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema that a reference leads to, and any other as it is."""
    while "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    return schema
