"""What is new when a service starts: a path or a schema that is wrong looks like one on which nothing has happened yet."""

from __future__ import annotations

import logging
from pathlib import Path
from urllib.parse import unquote

from twofold.declaration.declaration import Declaration
from twofold.followers import checkpoints
from twofold.log import Log
from twofold.service.settings import Settings
from twofold.urls import without_password
from twofold.views import ViewStore

_logger = logging.getLogger("twofold.service")


async def tell_what_is_new(declaration: Declaration, settings: Settings, log: Log, views: ViewStore | None) -> None:
    """Warn of a log in which nothing is yet, or of views that nobody has filled although the log has events.

    What is kept in memory is always new, and nothing is said of it.
    """
    if settings.log != "memory:" and log.known_head == 0:
        _logger.warning(
            "%s begins with an empty log at %s. If there should be events, check TWOFOLD_LOG and the folder.",
            declaration.name, _place(settings.log),
        )  # fmt: skip
    elif views is not None and settings.views != "memory:" and await _are_new(declaration, views):
        _logger.warning(
            "%s begins with empty views at %s; they are filled from the %d events in the log. If there should be rows, "
            "check TWOFOLD_VIEWS and the folder.",
            declaration.name, _place(settings.views), log.known_head,
        )  # fmt: skip


async def _are_new(declaration: Declaration, views: ViewStore) -> bool:
    followers = declaration.followers
    return bool(followers) and not any(each.follower in followers for each in await checkpoints.progress(views))


def _place(url: str) -> str:
    """Return what may be shown of a URL, and of a file which one it is, whatever the current folder."""
    shown = without_password(url)
    return (
        f"{shown} ({Path(unquote(url.removeprefix('sqlite:///'))).resolve()})"
        if url.startswith("sqlite:///")
        else shown
    )
