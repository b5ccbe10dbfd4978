"""What an AsyncAPI document has to be like, as far as ours go.

Source: the AsyncAPI specification 3.0.0, its objects and their fixed fields. The schemas of payloads and headers are JSON
Schema, draft 7, as it takes for granted.
"""

from typing import Any

import jsonschema_rs

KEY = "^[A-Za-z0-9_.-]+$"
OURS = {"^x-[A-Za-z0-9_.-]+$": True}
TEXT = {"type": "string"}


def fixed(required: list[str] | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "type": "object", "required": required or [], "properties": fields, "patternProperties": OURS,
        "additionalProperties": False,
    }  # fmt: skip


def keyed(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "propertyNames": {"pattern": KEY}, "additionalProperties": value}


def reference(place: str) -> dict[str, Any]:
    pointer = {"type": "string", "pattern": f"^#/{place}$"}
    return {"type": "object", "required": ["$ref"], "properties": {"$ref": pointer}, "additionalProperties": False}


CHANNEL = "channels/[A-Za-z0-9_.-]+"
SCHEMA = {"$ref": "http://json-schema.org/draft-07/schema#"}
MESSAGES = {"type": "array", "items": reference(f"{CHANNEL}/messages/[A-Za-z0-9_.-]+")}

DOCUMENT = fixed(
    ["asyncapi", "info"],
    asyncapi={"const": "3.0.0"},
    info=fixed(["title", "version"], title=TEXT, version=TEXT, description=TEXT),
    defaultContentType=TEXT,
    channels=keyed(
        fixed(
            address=TEXT,
            description=TEXT,
            messages=keyed(reference("components/messages/[A-Za-z0-9_.-]+")),
            parameters=keyed(fixed(enum={"type": "array", "items": TEXT}, description=TEXT)),
        )
    ),
    operations=keyed(
        fixed(
            ["action", "channel"],
            action={"enum": ["send", "receive"]},
            channel=reference(CHANNEL),
            messages=MESSAGES,
            reply=fixed(channel=reference(CHANNEL), messages=MESSAGES),
            tags={"type": "array", "items": fixed(["name"], name=TEXT)},
            bindings=fixed(http=fixed(method={"enum": ["POST"]}, bindingVersion=TEXT)),
        )
    ),
    components=fixed(
        schemas=keyed(SCHEMA),
        messages=keyed(
            fixed(
                name=TEXT, title=TEXT, summary=TEXT, description=TEXT, payload=SCHEMA, headers=SCHEMA,
                bindings=fixed(kafka=fixed(key=SCHEMA, bindingVersion=TEXT)),
            )
        ),
    ),
)  # fmt: skip

VALIDATOR = jsonschema_rs.Draft7Validator(DOCUMENT)


def flaws(document: Any) -> list[str]:
    """Return where a document is none."""
    return [f"{list(error.instance_path)}: {error.message:.200}" for error in VALIDATOR.iter_errors(document)]
