"""What URLs of SQLite files lead to. (The views' half is imported only when it is needed: it needs SQLAlchemy.)"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from twofold.adapters.sqlite.log import SqliteStore
from twofold.clock import Clock
from twofold.limits import Limits

if TYPE_CHECKING:
    from twofold.adapters.sqlite.views import SqliteViews

_BEGINS = "sqlite:///"


def open_log(url: str, clock: Clock, limits: Limits) -> SqliteStore:
    """Return the store of a URL such as ``sqlite:///bank.db`` (relative) or ``sqlite:////var/lib/bank.db``."""
    return SqliteStore(file_of(url), limits.sqlite)


def open_views(url: str, clock: Clock, limits: Limits) -> SqliteViews:
    """Return the views' store of a URL such as ``sqlite:///bank-views.db``."""
    from twofold.adapters.sqlite.views import SqliteViews

    return SqliteViews(file_of(url), clock, limits.sqlite)


def flaw_of(url: str) -> str:
    """Return what is wrong with a URL, '' if nothing is.

    >>> flaw_of("sqlite://bank.db")
    'a file is named after three slashes, four if absolute.'
    """
    if not (url.startswith(_BEGINS) and len(url) > len(_BEGINS)):
        return "a file is named after three slashes, four if absolute."
    if "?" in url or "#" in url:
        return "a file has no parameters; in its name, write %3F for a question mark and %23 for a number sign."
    return ""


def file_of(url: str) -> str:
    """Return the file that a URL names.

    >>> file_of("sqlite:///data/bank.db"), file_of("sqlite:////var/bank.db")
    ('data/bank.db', '/var/bank.db')
    """
    return unquote(url.removeprefix(_BEGINS))
