"""OpenAPI 3.1 from the types of a declaration."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from twofold.http.problems import TYPES, Document
from twofold.messages import Message
from twofold.service import Declaration

_JSON = "application/json"


def openapi(declaration: Declaration) -> dict[str, Any]:
    """Return the document that describes a service's paths, for tools and for the page to try it on."""
    types = _types(declaration)
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    by_type = dict(zip(map(_identity, types), schemas, strict=True))
    paths = {f"/commands/{name}": {"post": _command(kind, by_type)} for name, kind in declaration.commands.items()}
    for name, answer in declaration.queries.items():
        paths[f"/queries/{name}"] = {"post": _query(answer.query, by_type[_identity(answer.returns)], by_type)}
    return {
        "openapi": "3.1.0",
        "info": {"title": declaration.name, "version": "1", "description": _INTRODUCTION},
        "paths": paths,
        "components": {"schemas": components, "responses": _RESPONSES, "parameters": _PARAMETERS, "headers": _HEADERS},
    }


def _types(declaration: Declaration) -> list[Any]:
    answers = declaration.queries.values()
    return [
        *declaration.commands.values(),
        *[answer.query for answer in answers],
        *[answer.returns for answer in answers],
        Document,
    ]


def _identity(kind: Any) -> str:
    return f"{kind!r} {id(kind) if isinstance(kind, type) else ''}"


def _command(kind: type[Message], by_type: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": f"send{kind.message_name}",
        "tags": ["commands"],
        **_described(kind),
        "parameters": _references("parameters", "IdempotencyKey", "Correlation"),
        "requestBody": _body(by_type[_identity(kind)]),
        "responses": {
            "200": {
                "description": "It has taken effect, durably.",
                "headers": {"Twofold-Receipt": {"$ref": "#/components/headers/Receipt"}},
                "content": {_JSON: {"schema": _RECEIPT}},
            },
            **_problems("400", "409", "413", "415", "422", "503"),
        },
    }


def _query(kind: type[Message], answer: Any, by_type: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": f"ask{kind.message_name}",
        "tags": ["queries"],
        **_described(kind),
        "parameters": _references("parameters", "Receipt", "Prefer", "Correlation"),
        "requestBody": _body(by_type[_identity(kind)]),
        "responses": {
            "200": {"description": "The answer.", "content": {_JSON: {"schema": answer}}},
            **_problems("400", "409", "413", "415", "422", "503", "504"),
        },
    }


def _described(kind: type[Message]) -> dict[str, str]:
    text = inspect.cleandoc(kind.__doc__ or "")
    return {"summary": text.partition("\n")[0], "description": text} if text else {}


def _body(schema: Any) -> dict[str, Any]:
    return {"required": True, "content": {_JSON: {"schema": schema}}}


def _references(kind: str, *names: str) -> list[dict[str, str]]:
    return [{"$ref": f"#/components/{kind}/{name}"} for name in names]


def _problems(*statuses: str) -> dict[str, Any]:
    return {status: {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Document"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


_INTRODUCTION = (
    "Send commands, ask queries. A command's receipt, passed on with a query in `Twofold-Receipt`, makes the answer include "
    f"its effect. Problems are documents by RFC 9457; their types begin with `{TYPES}`."
)
_RECEIPT = {
    "type": "object",
    "required": ["receipt"],
    "properties": {"receipt": {"type": "string", "examples": ["bank@7"]}},
}
_RESPONSES = {
    "400": _problem("The request is not JSON, or a header cannot be used."),
    "409": _problem("The decision refused the command, or a receipt is beyond the end of the log."),
    "413": _problem("The body is too large."),
    "415": _problem("The body is not said to be JSON."),
    "422": _problem("The message does not fit its type; the detail names the field."),
    "503": _problem("The service cannot do it at the moment; try again after the time in Retry-After."),
    "504": _problem("The views have not reached the receipt in time; try again."),
}
_TEXT = {"type": "string", "pattern": "^[!-~]([ -~]{0,198}[!-~])?$"}
_PARAMETERS = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Makes the command safe to send again: it takes effect once, and the receipt is the first one.",
        "schema": _TEXT,
    },
    "Correlation": {
        "name": "X-Correlation-ID",
        "in": "header",
        "description": "Goes with everything that this request sets off; one is made if it is missing.",
        "schema": _TEXT,
    },
    "Receipt": {
        "name": "Twofold-Receipt",
        "in": "header",
        "description": "Receipts, separated by commas, whose effects the answer must include.",
        "schema": {"type": "string", "pattern": "^[a-z][a-z0-9_-]*@[0-9]{1,18}$"},
    },
    "Prefer": {
        "name": "Prefer",
        "in": "header",
        "description": "`wait=10`: for how many seconds to wait for the receipts, 30 at most (RFC 7240).",
        "schema": {"type": "string", "pattern": "^wait=[0-9]{1,2}$"},
    },
}
_HEADERS = {"Receipt": {"description": "How far the log was.", "schema": {"type": "string", "examples": ["bank@7"]}}}
