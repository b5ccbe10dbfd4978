"""Views in memory are SQLite's, without a file."""

from __future__ import annotations

from twofold.adapters.sqlite.files import MEMORY
from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import Clock
from twofold.limits import Limits


def open_views(url: str, clock: Clock, limits: Limits) -> SqliteViews:
    """Return new views in memory."""
    return SqliteViews(MEMORY, clock, limits.sqlite)
