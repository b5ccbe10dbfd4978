"""Bounds on what comes before a body: how many headers and bytes, each header once, and a type that can be read here."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.types import Scope

from twofold.http.problems import Problem
from twofold.limits import HttpLimits

_JOIN = b"".join

_LISTS = frozenset(
    b"accept accept-encoding accept-language cache-control connection forwarded if-none-match pragma prefer te tracestate "
    b"twofold-receipt via x-forwarded-for x-forwarded-host x-forwarded-proto".split()
)
"""Headers whose values, given apart, are one list (RFC 9110)."""

_ONCE = frozenset(
    b"content-encoding content-length content-type host idempotency-key last-event-id origin sec-fetch-site traceparent "
    b"transfer-encoding x-correlation-id".split()
)
"""Headers that have one value: of two, a proxy might have gone by the other."""

_JSON = re.compile(r"application/([\w.-]+\+)?json", re.ASCII)


def checked_headers(scope: Scope, limits: HttpLimits) -> Mapping[bytes, bytes]:
    """Return the headers of a request by name.

    Raises:
        Problem: there are too many or too long ones, one is given twice that has one value, or the URL is too long.
    """
    found = scope["headers"]
    if len(found) > limits.max_headers or len(_JOIN(map(_JOIN, found))) > limits.max_header_bytes:
        raise too_many(limits)
    if len(scope["query_string"]) > limits.max_url_bytes or len(scope["path"]) > limits.max_url_bytes:
        raise _too_long(limits)
    if b"%2" in (raw := scope.get("raw_path") or b"") and b"%2f" in raw.lower():
        raise _hidden_separator(scope["path"])
    headers = dict(found)
    return headers if len(headers) == len(found) else _joined(found)


def _joined(found: list[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for name, value in found:
        if name in headers and name in _ONCE:
            detail = f"{name.decode()} is there twice: send it once."
            raise Problem(400, "invalid-header", "A header cannot be used", detail)
        headers[name] = b"%s, %s" % (headers[name], value) if name in headers and name in _LISTS else value
    return headers


def check_body_headers(headers: Mapping[bytes, bytes]) -> None:
    """Check that a body is said to be JSON, in UTF-8 and not compressed.

    A browser sends without asking what has no type or one of a form, whatever page tells it to: none of these is taken.

    Raises:
        Problem: it is not.
    """
    kind = headers.get(b"content-type")
    if kind != b"application/json":
        _check_type(kind)
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() != b"identity":
        raise _not_read(
            f"Content-Encoding is {_shown(encoding)}, and a body is read here as it is: send it without compression.",
            accept_encoding="identity",
        )


def check_transfer(headers: Mapping[bytes, bytes]) -> None:
    """Check that a body without a length comes in chunks, and is not compressed for its way besides (RFC 9112, section 6.1).

    Raises:
        Problem: it does.
    """
    coding = headers.get(b"transfer-encoding", b"chunked").strip()
    if coding.lower() != b"chunked":
        raise Problem(
            501,
            "unsupported-transfer",
            "The body comes in a coding that is not read here",
            f"Transfer-Encoding is {_shown(coding)}: send the body with a Content-Length, or as chunked alone.",
            connection="close",
        )


def _check_type(kind: bytes | None) -> None:
    if kind is None:
        raise _not_read("Content-Type is missing: send Content-Type: application/json, and the body as JSON.")
    essence, *parameters = [part.strip().lower() for part in _shown(kind).split(";")]
    if not _JSON.fullmatch(essence):
        raise _not_read(f"Content-Type is {essence!r}; send the body as JSON, as application/json.")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "charset" and value.strip('"') not in ("utf-8", "utf8"):
            raise _not_read(f"Content-Type has the charset {value}: JSON is sent in UTF-8 (RFC 8259).")


def _not_read(detail: str, **headers: str) -> Problem:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Problem(415, "unsupported-media-type", "The body has to be JSON", detail, **named)


def _shown(value: bytes) -> str:
    return value[:100].decode("ascii", "backslashreplace")


def too_many(limits: HttpLimits) -> Problem:
    """Return the problem of a request with too many headers, or too long ones."""
    return Problem(
        431,
        "headers-too-large",
        "There are too many headers, or too long ones",
        f"A request has at most {limits.max_headers} headers of {limits.max_header_bytes} bytes together here. Send fewer.",
        connection="close",
    )


def _hidden_separator(path: str) -> Problem:
    detail = (
        f"{path} has a slash written as %2F, which whoever looked at the path before may have taken for part of a name."
    )
    return Problem(404, "not-found", "There is nothing at this path", f"{detail} Write it as /.")


def _too_long(limits: HttpLimits) -> Problem:
    return Problem(
        414,
        "url-too-long",
        "The URL is too long",
        f"A path and a query string have at most {limits.max_url_bytes} bytes each here. Ask with POST, and the query as the "
        "body.",
    )
