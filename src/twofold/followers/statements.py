"""The statements about what followers keep, in the words of a database."""

from __future__ import annotations

from twofold.statements import load_statements


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
