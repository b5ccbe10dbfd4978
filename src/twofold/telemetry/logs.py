"""Structured logs through the standard library: each line carries the correlation of the message being handled."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any

from twofold.messages import current, encode

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "correlation",
    "causation",
    "color_message",
}


def configure_logging(style: str = "text", level: str = "INFO") -> None:
    """Write logs to standard error: ``text`` for people, ``json`` with one object a line for programs.

    Raises:
        ValueError: the level is not one of the standard library's.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_add_circumstances)
    handler.setFormatter(_JsonLines() if style == "json" else _Text())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # An HTTP client tells of every request, at a level that is meant for what an operator wants to know.
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _add_circumstances(record: logging.LogRecord) -> bool:
    metadata = current.get()
    for name in ("correlation", "causation"):
        if not hasattr(record, name):
            setattr(record, name, getattr(metadata, name))
    return True


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).astimezone()
        line = (
            f"{time:%H:%M:%S}.{time.microsecond // 1000:03d} {record.levelname:7} {record.name}: {record.getMessage()}"
        )
        extras = {**_extras(record), "correlation": record.__dict__["correlation"]}
        line += "".join(f" {name}={value}" for name, value in extras.items() if value)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "correlation": record.__dict__["correlation"],
            "causation": record.__dict__["causation"],
            **{name: _plain(value) for name, value in _extras(record).items()},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return encode({name: value for name, value in line.items() if value != ""}).decode()


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)
