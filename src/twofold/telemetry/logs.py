"""Structured logs through the standard library: each line says on whose behalf the message was being handled."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from twofold.clock import moment
from twofold.messages import current
from twofold.urls import without_passwords

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_TOO_TALKATIVE = {"httpx": logging.WARNING, "httpcore": logging.WARNING, "uvicorn": logging.WARNING}


def configure_logging(format: str = "text", level: str = "info", service: str = "", worker: int | None = None) -> None:
    """Write the logs of the whole process to standard error, in place of whatever was configured before.

    ``text`` is for people and ``json`` for programs: one object a line, with ``time``, ``level``, ``logger``, ``message``,
    ``service``, the ``correlation`` and ``causation`` of the message that was being handled, what was passed as ``extra=``
    and, of an exception, its ``traceback``. The service is ``service`` unless the record names one itself; ``worker`` is the
    number of this process where several serve together.

    Twofold's own loggers are ``twofold.service``, ``twofold.followers`` and so on; libraries that tell of every request are
    held to warnings.

    Raises:
        ValueError: the format or the level is not known.
    """
    if format not in _FORMATTERS:
        raise ValueError(f"format={format!r}: there is {', '.join(_FORMATTERS)}.")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_FORMATTERS[format](service, worker))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name, least in _TOO_TALKATIVE.items():
        logging.getLogger(name).setLevel(least)


class _Structured(logging.Formatter):
    def __init__(self, service: str, worker: int | None) -> None:
        super().__init__()
        self._service = service
        self._worker = worker

    def _circumstances(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return what is known besides the message; what the record says itself comes before what is known here."""
        metadata = current.get()
        known = {
            "service": self._service,
            "worker": self._worker,
            "correlation": metadata.correlation,
            "causation": metadata.causation,
        }
        return {name: value for name, value in (known | dict(_extras(record))).items() if value not in ("", None)}

    def _traceback(self, record: logging.LogRecord) -> str:
        parts = [self.formatException(record.exc_info)] if record.exc_info else []
        return without_passwords("\n".join([*parts, record.stack_info] if record.stack_info else parts))


class JsonLines(_Structured):
    """Formats a record as one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": moment(int(record.created * 1e6)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_passwords(record.getMessage()),
        } | self._circumstances(record)
        if traceback := self._traceback(record):
            line["traceback"] = traceback
        return _encoder.encode(line).decode()


class Text(_Structured):
    """Formats a record for people: local time, level, logger, message, and the rest as ``name=value``."""

    def format(self, record: logging.LogRecord) -> str:
        time = moment(int(record.created * 1e6)).astimezone()
        message = without_passwords(record.getMessage())
        line = f"{time:%H:%M:%S}.{int(record.msecs):03d} {record.levelname:<7} {record.name}: {message}"
        circumstances = self._circumstances(record)
        if circumstances.get("service") == self._service:
            del circumstances["service"]
        parts = [line, *[f"{name}={value}" for name, value in circumstances.items()]]
        return "\n".join(filter(None, [" ".join(parts), self._traceback(record)]))


_FORMATTERS: dict[str, type[_Structured]] = {"text": Text, "json": JsonLines}
_encoder = msgspec.json.Encoder(enc_hook=str)


def _extras(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    """Yield what was passed as ``extra=``."""
    for name, value in vars(record).items():
        if name not in _STANDARD:
            yield name, without_passwords(value) if isinstance(value, str) else value
