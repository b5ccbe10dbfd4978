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


def follower_statements(
    schema: str, *, placeholder: str = "$", lock_rows: str = "", skip_locked: str = ""
) -> dict[str, str]:
    """Return the statements about what followers keep, as a database wants them, by their names.

    Args:
        schema: where the tables are, quoted if need be.
        placeholder: what stands before the number of a value.
        lock_rows: what locks the rows that are read, and waits for them; nothing where a transaction locks everything.
        skip_locked: what locks those of the rows that are not locked, and reads no others.

    >>> follower_statements("main", placeholder="?")["claims"]
    'SELECT follower, low, high, position, fence, merge_at FROM main.twofold_segments WHERE owner = ?1'
    """
    texts = {"{schema}": schema, "$": placeholder, "{lock_rows}": lock_rows, "{skip_locked}": skip_locked}

    def filled(statement: str) -> str:
        for mark, text in texts.items():
            statement = statement.replace(mark, text)
        return statement.strip()

    return {name: filled(text) for name, text in load_statements("twofold.followers", "followers.sql").items()}


def _bare(statement: str) -> str:
    lines = [line for line in statement.splitlines() if line.strip() and not line.lstrip().startswith("--")]
    return "\n".join(lines).strip().rstrip(";")
