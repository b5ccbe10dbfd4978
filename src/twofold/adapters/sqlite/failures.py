"""What a failure in SQLite means: refused for good, or away for now, by the classes of result codes."""

from __future__ import annotations

import sqlite3

from twofold.errors import LogUnavailable, ValueRefused

# The lowest byte of a result code is its class.
_OF_VALUES = (
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_RANGE,
)
_CLASS = 0xFF
# What the module raises before it asks SQLite, so without a code: a value that cannot be bound, a text that is none.
_OF_MODULE = (sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError, sqlite3.IntegrityError)
_OF_PYTHON = (OverflowError, UnicodeError)


def failure_of(path: str, error: Exception, busy_seconds: float) -> Exception:
    """Return what to raise for what was raised while a file was used: the error itself, if it was not about the file."""
    cause = getattr(error, "orig", None) or error
    # Behind an error of SQLAlchemy's, all that is not the database's is about a value or a statement, too.
    if is_refused(cause) or (cause is not error and not isinstance(cause, (sqlite3.Error, OSError))):
        refused = ValueRefused(f"{path}: {error}. Nothing of it was stored, and again, it would be refused again.")
        refused.__cause__ = error
        return refused
    if isinstance(cause, (sqlite3.Error, OSError)):
        unavailable = LogUnavailable(f"{path}: {error}. {_advice(cause, busy_seconds)}")
        unavailable.__cause__ = error
        return unavailable
    return error


def is_refused(error: BaseException) -> bool:
    """Say whether the same again would be refused again: for what a value is, or for what a statement says."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return isinstance(error, _OF_MODULE + _OF_PYTHON)
    # A table that is not there is the operator's matter; SQLite has no code of its own for that.
    return code & _CLASS in _OF_VALUES and not str(error).startswith("no such table")


def _advice(error: Exception, busy_seconds: float) -> str:
    if isinstance(error, FileNotFoundError) and error.errno is None:
        return "A service makes it when it starts. Look from the folder that the service runs in, with its TWOFOLD_ settings."
    if "locked" in str(error) or "busy" in str(error):
        return (
            f"Another process has held the file's lock for {busy_seconds:.0f} seconds; end it or wait, then try again."
        )
    if "unable to open" in str(error) or isinstance(error, OSError):
        return "Check that the folder exists and that this user may write to it."
    if "readonly" in str(error):
        return "Nothing of this batch was stored. Let this user write to the file, its folder and the files beside it."
    if "malformed" in str(error) or "not a database" in str(error):
        return "It is damaged, or not the file that you mean. Stop the service, and restore a log from a backup."
    if "disk" in str(error) or "full" in str(error):
        return "Nothing of this batch was stored. Check the disk's space and health."
    if "no such table" in str(error):
        return "Nothing of this batch was stored. Make the table, or restore the file from a backup."
    return "Nothing of this batch was stored."
