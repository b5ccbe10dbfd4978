"""OpenAPI 3.1 from the types of a declaration."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import msgspec

from twofold.http.endpoints import LARGEST_FEED_PAGE, LAST_POSITION, LONGEST_WAIT_SECONDS
from twofold.http.parameters import Parameters
from twofold.http.problems import TYPES, ProblemDocument
from twofold.http.schemas import tightened
from twofold.messages import Message
from twofold.messages.examples import example_of
from twofold.messages.schemas import REFERENCE
from twofold.service import Declaration, Delivery

_JSON = "application/json"

Json = dict[str, Any]


def openapi(declaration: Declaration) -> Json:
    """Return the document that describes a service's paths, for tools and for the page to try it on.

    >>> from examples.bank import bank
    >>> document = openapi(bank.declaration)
    >>> list(document["paths"]["/commands/Deposit"]), list(document["paths"]["/queries/FindRich"])
    (['post'], ['get', 'post'])
    """
    answers = declaration.queries.values()
    commands = declaration.commands | declaration.elsewhere
    messages = [*commands.values(), *[answer.query for answer in answers]]
    said, components = msgspec.json.schema_components(
        [*messages, *[answer.returns for answer in answers], ProblemDocument, Delivery], ref_template=REFERENCE
    )
    names = [*commands, *declaration.queries]
    bodies = {name: _body(kind, schema, components) for name, kind, schema in zip(names, messages, said, strict=False)}
    returned = said[len(messages) :]
    paths: Json = {f"/commands/{name}": {"post": _command(name, kind, bodies[name])} for name, kind in commands.items()}
    for answer, schema in zip(answers, returned, strict=False):
        paths[f"/queries/{answer.query.message_name}"] = _query(answer.query, schema, bodies, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": declaration.name, "version": "1", "description": _INTRODUCTION},
        "paths": {**paths, **_operations(said[-1])},
        "components": {
            "schemas": {name: tightened(schema) for name, schema in components.items()},
            "responses": {status: _problem(text, said[-2]) for status, text in _PROBLEMS.items()},
            "parameters": {**_PARAMETERS, "Receipts": _receipts([declaration.name, *declaration.sources])},
            "headers": {**_HEADERS, "Receipt": _header("How far the log was.", f"{declaration.name}@7")},
        },
    }


def _command(name: str, kind: type[Message], body: Json) -> Json:
    is_elsewhere = name != kind.message_name
    under_way: Json = {
        "description": "It is on its way to the service that decides on it.",
        "headers": _headers("Receipt", "Correlation"),
        "content": {_JSON: {"schema": _RECEIPT}},
    }
    return {
        "operationId": f"send{name}",
        "tags": ["commands"],
        **_described(kind),
        "parameters": _references(
            "parameters", "IdempotencyKey", *(["Prefer"] if is_elsewhere else []), "Correlation", "Trace"
        ),
        "requestBody": body,
        "responses": {
            "200": {
                "description": "It has taken effect, durably.",
                "headers": _headers("Receipt", "Correlation"),
                "content": {_JSON: {"schema": _RECEIPT}},
            },
            **({"202": under_way, **_problems("504")} if is_elsewhere else {}),
            **_problems("400", "403", "408", "409", "413", "415", "421", "422", "431", "500", "503"),
        },
    }


def _query(kind: type[Message], answer: Any, bodies: Mapping[str, Json], components: Mapping[str, Any]) -> Json:
    name = kind.message_name
    answered: Json = {
        "description": "The answer. With `Accept: text/event-stream`: events, the answer and then each change of it.",
        "headers": _headers("Correlation"),
        "content": {_JSON: {"schema": tightened(answer)}, "text/event-stream": {"schema": {"type": "string"}}},
    }
    responses: Json = {"200": answered, **_problems("400", "403", "409", "421", "422", "431", "500", "503", "504")}
    shared = _references("parameters", "Receipts", "Prefer", "LastEvent", "Correlation", "Trace")
    post: Json = {
        "operationId": f"ask{name}",
        "tags": ["queries"],
        **_described(kind),
        "parameters": shared,
        "requestBody": bodies[name],
        "responses": {**responses, **_problems("408", "413", "415")},
    }
    parameters = Parameters(kind)
    if not parameters.suffice:
        return {"post": post}
    get: Json = {
        "operationId": f"get{name}",
        "tags": ["queries"],
        **_described(kind),
        "parameters": [*parameters.described(components), *_references("parameters", "IfNoneMatch"), *shared],
        "responses": {
            **responses,
            **_problems("414"),
            "200": {**answered, "headers": _headers("Tag", "Correlation")},
            "304": {
                "description": "The answer is the one that the tag is of.",
                "headers": _headers("Tag", "Correlation"),
            },
        },
    }
    return {"get": get, "post": post}


def _body(kind: type[Message], schema: Json, components: Mapping[str, Any]) -> Json:
    content: Json = {"schema": schema}
    example = example_of(kind, schema, components)
    if example is not None:
        content["example"] = example
    return {"required": True, "content": {_JSON: content}}


def _described(kind: type[Message]) -> dict[str, str]:
    text = inspect.cleandoc(kind.__doc__ or "")
    return {"summary": text.partition("\n")[0], "description": text} if text else {}


def _operations(delivery: Json) -> Json:
    """Return the paths that other services and whoever runs this one use."""
    health = {"description": "All is well.", "headers": _headers("Correlation"), "content": {_JSON: {"schema": {}}}}
    live = {"operationId": "live", "tags": ["operations"], "summary": "Whether the process answers."}
    ready = {
        "operationId": "ready",
        "tags": ["operations"],
        "summary": "Whether the log and the views can be read and are followed, and how far the views are.",
    }
    unready = {"description": "Something fails; the body says what.", "content": {_JSON: {"schema": {}}}}
    feed = {
        "operationId": "feed",
        "tags": ["operations"],
        "summary": "Published events after a position in the log.",
        "parameters": [
            _whole("after", 0, LAST_POSITION),
            _whole("limit", 1, LARGEST_FEED_PAGE),
            _whole("wait", 0, LONGEST_WAIT_SECONDS),
        ],
        "responses": {
            "200": {
                "description": "The events, and the position up to which nothing else was published.",
                "headers": _headers("Correlation"),
                "content": {_JSON: {"schema": delivery}},
            },
            **_problems("400", "403", "414", "421", "422", "431", "500", "503"),
        },
    }
    correlated = {"parameters": _references("parameters", "Correlation")}
    return {
        "/feed": {"get": feed, **correlated},
        "/health/live": {
            "get": {**live, "responses": {"200": health, **_problems("400", "403", "421", "431")}},
            **correlated,
        },
        "/health/ready": {
            "get": {**ready, "responses": {"200": health, "503": unready, **_problems("400", "403", "421", "431")}},
            **correlated,
        },
    }


def _whole(name: str, least: int, most: int) -> Json:
    schema = {"type": "integer", "minimum": least, "maximum": most}
    return {"name": name, "in": "query", "description": _FEED[name], "schema": schema}


def _references(kind: str, *names: str) -> list[Json]:
    return [{"$ref": f"#/components/{kind}/{name}"} for name in names]


def _headers(*names: str) -> Json:
    return {_HEADER_NAMES[name]: {"$ref": f"#/components/headers/{name}"} for name in names}


def _problems(*statuses: str) -> Json:
    return {status: {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _problem(description: str, schema: Json) -> Json:
    return {
        "description": description,
        "headers": _headers("Correlation"),
        "content": {"application/problem+json": {"schema": schema}},
    }


_INTRODUCTION = (
    "Send commands, ask queries. A command's receipt, passed on with a query in `Twofold-Receipt`, makes the answer include "
    f"its effect. Problems are documents by RFC 9457; their types begin with `{TYPES}`."
)
_FEED = {
    "after": "The position up to which the caller has had everything.",
    "limit": "How many events at most.",
    "wait": "For how many seconds to wait if there is nothing yet.",
}
_RECEIPT = {
    "type": "object",
    "required": ["receipt"],
    "properties": {"receipt": {"type": "string"}},
}
_PROBLEMS = {
    "400": "The request is not JSON, or a header cannot be used.",
    "403": "The request is from a page of another site.",
    "408": "The body has not arrived in time.",
    "409": "The decision refused the command, or a receipt is beyond the end of the log.",
    "413": "The body is too large.",
    "414": "The URL is too long; ask with POST.",
    "415": "The body is not said to be JSON, or is compressed.",
    "421": "The service does not answer to that host, or this process leaves that to others.",
    "422": "The message does not fit its type, and `errors` names the field; or the key was used for another command.",
    "431": "There are too many headers, or too long ones.",
    "500": "The service failed unexpectedly, and has logged it under the correlation.",
    "503": "The service cannot do it at the moment; try again after the time in Retry-After.",
    "504": "The views have not reached the receipt in time, or another service has not told yet; try again.",
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
        "description": "Goes with everything that this request sets off, and comes back; one is made if it is missing.",
        "schema": _TEXT,
    },
    "Trace": {
        "name": "traceparent",
        "in": "header",
        "description": "The W3C trace that the request is part of; recorded with what it sets off.",
        "schema": {"type": "string"},
    },
    "Prefer": {
        "name": "Prefer",
        "in": "header",
        "description": "`wait=10`: for how many seconds to wait, 30 at most (RFC 7240): for the receipts of a query, 5 unless "
        "said, or for what becomes of a command to another service, which is just sent unless said.",
        "schema": {"type": "string", "examples": ["wait=10"]},
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "description": "The `ETag` of an answer that one has: if it is still the answer, it is not sent again.",
        "schema": {"type": "string", "examples": ['"9f86d081884c7d659a2feaa0"']},
    },
    "LastEvent": {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The id of the last event that one has had: with `Accept: text/event-stream`, events go on after it.",
        "schema": {"type": "string"},
    },
}
_HEADER_NAMES = {"Receipt": "Twofold-Receipt", "Correlation": "X-Correlation-ID", "Tag": "ETag"}
_HEADERS = {
    "Correlation": {"description": "What the effects are correlated by.", "schema": {"type": "string"}},
    "Tag": {"description": "Another one whenever the answer is.", "schema": {"type": "string"}},
}


def _header(description: str, example: str) -> Json:
    return {"description": description, "schema": {"type": "string", "examples": [example]}}


def _receipts(services: list[str]) -> Json:
    """Return the header for receipts: those of the service itself and of those that it hears."""
    return {
        "name": "Twofold-Receipt",
        "in": "header",
        "description": "Receipts, separated by commas, whose effects the answer must include.",
        "schema": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "pattern": f"^({'|'.join(services)})@[0-9]{{1,18}}$"},
            "examples": [[f"{services[0]}@0"]],
        },
    }
