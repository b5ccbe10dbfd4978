"""Reads SQL files: several statements a file, each under a line ``-- name: …``."""

from __future__ import annotations

import re
from importlib.resources import files


def load_statements(package: str, file: str) -> dict[str, str]:
    """Return the statements of a package's SQL file by their names.

    >>> load_statements("twofold.adapters.sqlite", "log.sql")["head"]
    'SELECT coalesce(max(position), 0) FROM events'
    """
    text = files(package).joinpath(file).read_text(encoding="utf-8")
    parts = re.split(r"^-- name: *(\w+) *$", text, flags=re.MULTILINE)
    return {name: _bare(body) for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def _bare(statement: str) -> str:
    lines = [line for line in statement.splitlines() if line.strip() and not line.lstrip().startswith("--")]
    return "\n".join(lines).strip().rstrip(";")
