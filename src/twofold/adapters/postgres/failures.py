"""What a failure on PostgreSQL means: refused for good, or away for now, by the classes of SQLSTATE."""

from __future__ import annotations

import asyncpg

from twofold.adapters.postgres.address import Address
from twofold.errors import LogUnavailable, ValueRefused

FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What the driver raises of its own."""

FAULTS = (*FAILURES, UnicodeError, OverflowError)
"""What the driver raises, and what Python does in it about a value that it cannot send."""

_OF_PYTHON = (ValueError, TypeError, OverflowError)
# Values: data, integrity, what a view's check or trigger says, and limits such as the length of an index's entry.
_OF_VALUES = ("21", "22", "23", "27", "38", "39", "44", "54", "P0")
# Somebody else's statements, too: what they say, and what the server cannot do. In ours that would be our fault, or of
# whoever has changed the tables.
_OF_STATEMENTS = ("0A", "42")
# Not what the statement says, but what the operator has not made yet or has taken away: a table, a right.
_OF_OPERATORS = ("42P01", "42501")
_MAY_PASS = ("08", "25006", "25P03", "25P04", "40", "53", "55", "57", "58")
_BROKEN = ("08", "25006", "57P")
_ADVICE = {
    "22021": "A text has a NUL character, which PostgreSQL does not keep.",
    "28": "Check the user and the password in the URL, and pg_hba.conf on the server.",
    "3D": "Create the database first.",
    "3F": "The schema is gone: it is made anew when the service starts.",
    "42P01": "A table is gone: restore it from a backup, or drop the schema to begin with an empty one.",
    "42501": "Give this user rights on the schema, or CREATE on the database so that it can make it.",
    "25006": "This is a standby: name all servers in the URL, as in postgresql://user@host1,host2/database.",
    "53100": "Make space on the server's disk.",
    "53300": "Raise max_connections on the server, or put PgBouncer before it.",
    "54000": "A key or an indexed text is too long: an index of PostgreSQL takes about 2,700 bytes of it.",
    "55P03": "Somebody has held a lock for long: look in pg_stat_activity for an open transaction, such as one that appends.",
    "57014": "The server is too busy, or an open transaction holds a lock: look in pg_stat_activity.",
}


def state_of(error: BaseException) -> str:
    """Return the SQLSTATE of an error, as the driver or SQLAlchemy raises it; "" if it has none."""
    return getattr(_cause(error), "sqlstate", None) or ""


def _cause(error: BaseException) -> BaseException:
    """Return the driver's error: SQLAlchemy has it behind one of its own, and that behind one more."""
    wrapped: BaseException | None = getattr(error, "orig", None)
    return error if wrapped is None else wrapped.__cause__ or wrapped


def is_refused(error: BaseException, *, statements: bool = False) -> bool:
    """Say whether the same again would be refused again: for what a value is, or in others' statements for what they say."""
    cause, state = _cause(error), state_of(error)
    if isinstance(cause, asyncpg.InvalidCachedStatementError):
        return False
    if isinstance(cause, _OF_PYTHON):
        return True
    classes = _OF_VALUES + _OF_STATEMENTS if statements else _OF_VALUES
    return state.startswith(classes) and state not in _OF_OPERATORS


def may_pass(error: BaseException) -> bool:
    """Say whether the same may succeed in a moment, on another connection or another server."""
    cause = _cause(error)
    if isinstance(cause, asyncpg.PostgresError):
        return state_of(error).startswith(_MAY_PASS) or isinstance(cause, asyncpg.InvalidCachedStatementError)
    return not is_refused(error)


def leaves_connection(error: BaseException) -> bool:
    """Say whether a connection is as good as before after this: the server has answered, and has not ended it."""
    cause = _cause(error)
    if isinstance(cause, asyncpg.PostgresError):
        return not state_of(error).startswith(_BROKEN)
    return is_refused(error) or (isinstance(cause, Exception) and not isinstance(cause, FAILURES))


def failure_of(
    address: Address, error: Exception, tried: str = "", *, statements: bool = False
) -> ValueRefused | LogUnavailable:
    """Return what to raise for a failure; ``tried`` says for how long one that may pass was tried."""
    reason = f"{address}: {(str(error) or 'no answer in time').rstrip('.')}."
    if is_refused(error, statements=statements):
        return ValueRefused(_joined(reason, _advice(error), "Again, it would be refused again."))
    return LogUnavailable(_joined(reason, _advice(error), tried if may_pass(error) else ""))


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _advice(error: Exception) -> str:
    cause = _cause(error)
    if isinstance(cause, TimeoutError):
        return "The server or the way to it hangs, or an open transaction holds a lock: look in pg_stat_activity."
    if isinstance(cause, OSError) or type(cause) is asyncpg.InterfaceError:
        return "Check that the server is running and can be reached at the host and port in the URL."
    return next((text for state, text in _ADVICE.items() if state_of(error).startswith(state)), "")
