"""Problem documents (RFC 9457): what went wrong, as a program reads it and as a person does."""

from __future__ import annotations

import logging
import re
from typing import Any

import msgspec

from twofold.errors import (
    FutureReceipt,
    IdReused,
    InvalidMessage,
    InvalidReceipt,
    LogUnavailable,
    NotRunning,
    ReceiptTimeout,
    Rejected,
    RequestTimeout,
    TooManyConflicts,
    UnknownMessage,
    ValueRefused,
    ViewNotReady,
    WrongRole,
)
from twofold.messages import plain

_logger = logging.getLogger("twofold.http")

TYPES = "urn:twofold:problem:"
"""What the types of problems begin with: they are names, and nothing is to be found there."""


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field; ``pointer`` says where in the body it is, or should be (RFC 6901, as a fragment)."""

    pointer: str
    detail: str


class ProblemDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong (RFC 9457). ``errors`` are those of fields, ``arguments`` those of a rejection."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = ""
    correlation: str = ""
    errors: list[FieldError] = []
    arguments: list[Any] = []


class Problem(Exception):
    """A problem that the edge itself finds, before or beside the service."""

    def __init__(self, status: int, kind: str, title: str, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.document = ProblemDocument(f"{TYPES}{kind}", title, status, detail)
        self.headers = headers


_KNOWN: tuple[tuple[type[Exception], int, str, str], ...] = (
    (UnknownMessage, 404, "unknown-message", "There is no such command or query"),
    (InvalidMessage, 422, "invalid-message", "The message does not fit its type"),
    (IdReused, 422, "id-reused", "The key was used before, with another command"),
    (InvalidReceipt, 400, "invalid-receipt", "That is not a receipt that this service can wait for"),
    (FutureReceipt, 409, "future-receipt", "The receipt is beyond the end of the log"),
    (RequestTimeout, 504, "request-timeout", "The other service has not told yet what has become of the command"),
    (ReceiptTimeout, 504, "receipt-timeout", "The views are not there yet"),
    (ViewNotReady, 503, "view-not-ready", "The view is being filled"),
    (TooManyConflicts, 503, "too-many-conflicts", "Others kept changing what the command decides on"),
    (NotRunning, 503, "not-running", "The service is not running"),
    (WrongRole, 421, "wrong-role", "Other processes of this service do that"),
)
_RETRY_AFTER = {503: "1", 504: "1"}


def problem_of(error: Exception, path: str, correlation: str) -> tuple[ProblemDocument, dict[str, str]]:
    """Return the document for an error, and the headers that go with it. What is unexpected is logged, not told."""
    document, headers = described(error, path, correlation)
    if isinstance(error, (LogUnavailable, ValueRefused)):
        _logger.error("%s failed: %s", path, error, extra={"correlation": correlation})
    elif document.status == 500:
        _logger.error("%s failed unexpectedly", path, exc_info=error, extra={"correlation": correlation})
    return document, headers


def described(error: Exception, path: str, correlation: str) -> tuple[ProblemDocument, dict[str, str]]:
    """Return the document for an error that was logged before, and the headers that go with it."""
    if isinstance(error, Problem):
        document, headers = error.document, error.headers
    else:
        document, headers = _document_of(error), {}
    if document.status in _RETRY_AFTER:
        headers = {"retry-after": _RETRY_AFTER[document.status], **headers}
    return msgspec.structs.replace(document, instance=path, correlation=correlation), headers


def _document_of(error: Exception) -> ProblemDocument:
    if isinstance(error, Rejected):
        name = type(error).__name__
        return ProblemDocument(
            f"{TYPES}rejected:{name}", error.reason(), 409, str(error), arguments=[*map(plain, error.args)]
        )
    for kind, status, slug, title in _KNOWN:
        if isinstance(error, kind):
            # What was sent may be quoted in it, and text has no NUL characters here.
            text = str(error).replace("\0", "\\0")
            errors = _field_errors(text) if kind is InvalidMessage else []
            return ProblemDocument(f"{TYPES}{slug}", title, status, text, errors=errors)
    return _internal(error)


def _internal(error: Exception) -> ProblemDocument:
    """Return what to tell who calls the service of an error whose text is for who runs it."""
    if isinstance(error, LogUnavailable):
        detail = (
            "Whether a command took effect is not known: send it again with the same Idempotency-Key. The service has "
            "logged what happened under the correlation id."
        )
        return ProblemDocument(f"{TYPES}log-unavailable", "The log cannot be used at the moment", 503, detail)
    if isinstance(error, ValueRefused):
        detail = (
            "A text in it may be too long for a database, or have characters that it does not keep. Again, it would be "
            "refused again. The service has logged what happened under the correlation id."
        )
        return ProblemDocument(f"{TYPES}value-refused", "A database does not take a value", 422, detail)
    detail = "The service has logged what happened under the correlation id; nothing says that trying again would help."
    return ProblemDocument(f"{TYPES}unexpected", "The service failed unexpectedly", 500, detail)


_PLACE = re.compile(r"^(?:\w+: )?(?P<detail>.*?)(?: - at `(?:key in )?\$(?P<path>[^`]*)`.*)?$", re.DOTALL)
_FIELD = re.compile(r"^Object (?:missing required|contains unknown) field `(?P<name>[^`]*)`")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


def _field_errors(text: str) -> list[FieldError]:
    """Return what a validation says of a field, from its text: msgspec has it nowhere else.

    >>> _field_errors("Issue: Expected `int`, got `str` - at `$.lines[0].quantity`")
    [FieldError(pointer='#/lines/0/quantity', detail='Expected `int`, got `str`')]
    >>> _field_errors("Issue: Object missing required field `country`")
    [FieldError(pointer='#/country', detail='Object missing required field `country`')]
    """
    found = _PLACE.match(text)
    if found is None:
        return []
    steps = [name or index for name, index in _STEP.findall(found["path"] or "")]
    if named := _FIELD.match(found["detail"]):
        steps.append(named["name"])
    return [FieldError("#/" + "/".join(map(_escaped, steps)), found["detail"])] if steps else []


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")
