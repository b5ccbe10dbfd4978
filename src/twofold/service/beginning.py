"""What is new when a service starts: a path or a schema that is wrong looks like one on which nothing has happened yet."""

from __future__ import annotations

import logging
from typing import Any

from twofold.declaration.declaration import Declaration
from twofold.followers import checkpoints
from twofold.log import Log
from twofold.service.adapters import LOGS, VIEWS, Port, file_of, is_in_memory
from twofold.service.settings import Settings
from twofold.urls import without_password
from twofold.views import ViewStore

_logger = logging.getLogger("twofold.service")


async def tell_what_is_new(declaration: Declaration, settings: Settings, log: Log, views: ViewStore | None) -> None:
    """Warn of a log in which nothing is yet, or of views that nobody has filled although the log has events.

    What is kept in memory is always new, and whoever gives an object knows what is in it: nothing is said of these.
    """
    if not is_in_memory(settings.log) and log.known_head == 0:
        _logger.warning(
            "%s begins with an empty log at %s. If there should be events, check TWOFOLD_LOG and the folder.",
            declaration.name, _shown(settings.log, LOGS),
        )  # fmt: skip
    elif views is not None and not is_in_memory(settings.views) and await _are_new(declaration, views):
        _logger.warning(
            "%s begins with empty views at %s; they are filled from the %d events in the log. If there should be rows, "
            "check TWOFOLD_VIEWS and the folder.",
            declaration.name, _shown(settings.views, VIEWS), log.known_head,
        )  # fmt: skip


async def _are_new(declaration: Declaration, views: ViewStore) -> bool:
    followers = declaration.followers
    return bool(followers) and not any(each.follower in followers for each in await checkpoints.progress(views))


def _shown(url: Any, port: Port) -> str:
    """Return what may be shown of a URL, and of a file which one it is, whatever the current folder."""
    file = file_of(url, port)
    return f"{without_password(url)} ({file})" if file else without_password(url)
