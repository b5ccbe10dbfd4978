"""Problem documents (RFC 9457): what went wrong, as a program reads it and as a person does."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from twofold.errors import (
    FutureReceipt,
    InvalidMessage,
    InvalidReceipt,
    LogError,
    NotRunning,
    ReceiptTimeout,
    Rejected,
    TooManyConflicts,
    UnknownMessage,
)
from twofold.messages import encode

_logger = logging.getLogger("twofold.http")

TYPES = "urn:twofold:problem:"
"""What the types of problems begin with: they are names, and nothing is to be found there."""


class Problem(Exception):
    """A problem that the edge itself finds, before or beside the service."""

    def __init__(self, status: int, kind: str, title: str, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.document = Document(f"{TYPES}{kind}", title, status, detail)
        self.headers = headers


class Document(msgspec.Struct, frozen=True, omit_defaults=True):
    """The members of a problem document. ``arguments`` are those of a rejection."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = ""
    correlation: str = ""
    arguments: list[Any] = []


_KNOWN: tuple[tuple[type[Exception], int, str, str], ...] = (
    (UnknownMessage, 404, "unknown-message", "There is no such command or query"),
    (InvalidMessage, 422, "invalid-message", "The message does not fit its type"),
    (InvalidReceipt, 400, "invalid-receipt", "That is not a receipt that this service can wait for"),
    (FutureReceipt, 409, "future-receipt", "The receipt is beyond the end of the log"),
    (ReceiptTimeout, 504, "receipt-timeout", "The views are not there yet"),
    (TooManyConflicts, 503, "too-many-conflicts", "Others kept changing what the command decides on"),
    (LogError, 503, "log-unavailable", "The log cannot be used at the moment"),
    (NotRunning, 503, "not-running", "The service is not running"),
)
_RETRY_AFTER = {503: "1", 504: "1"}


def problem_of(error: Exception, path: str, correlation: str) -> tuple[Document, dict[str, str]]:
    """Return the document for an error, and the headers that go with it. What is unexpected is logged, not told."""
    if isinstance(error, Problem):
        document, headers = error.document, error.headers
    else:
        document = _document_of(error)
        headers = {}
        if document.status == 500:
            _logger.error("%s failed unexpectedly", path, exc_info=error, extra={"correlation": correlation})
    if document.status in _RETRY_AFTER:
        headers = {"retry-after": _RETRY_AFTER[document.status], **headers}
    return msgspec.structs.replace(document, instance=path, correlation=correlation), headers


def _document_of(error: Exception) -> Document:
    if isinstance(error, Rejected):
        name = type(error).__name__
        return Document(f"{TYPES}rejected:{name}", error.reason(), 409, str(error), arguments=_plain(error.args))
    for kind, status, slug, title in _KNOWN:
        if isinstance(error, kind):
            return Document(f"{TYPES}{slug}", title, status, str(error))
    detail = "The service has logged what happened under the correlation id; nothing says that trying again would help."
    return Document(f"{TYPES}unexpected", "The service failed unexpectedly", 500, detail)


def _plain(arguments: tuple[Any, ...]) -> list[Any]:
    """Return arguments as JSON can show them."""
    plain: list[Any] = []
    for argument in arguments:
        try:
            plain.append(msgspec.json.decode(encode(argument)))
        except (TypeError, ValueError, OverflowError):
            plain.append(str(argument))
    return plain
