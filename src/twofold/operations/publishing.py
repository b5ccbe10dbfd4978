"""Publishing again what others have missed."""

from __future__ import annotations

from twofold.errors import NotFound
from twofold.followers import checkpoints
from twofold.messaging import RELAY
from twofold.operations.databases import Databases
from twofold.views import replacing


async def publish_again(databases: Databases) -> None:
    """Have the relay publish everything again, from the first event on; whoever hears it knows what it has heard already.

    It is for what a broker has lost, or what is gone from it: its age was over, its queue was deleted, or a subscriber's
    database is as it was yesterday.

    Raises:
        NotFound: the service has no relay, as it publishes nothing, or its transport reads the log by itself.
    """
    if not any(each.follower == RELAY for each in await checkpoints.progress(databases.views)):
        raise NotFound(
            f"{databases.service} has published nothing to a broker, so there is nothing to publish again. A service does if "
            "its TWOFOLD_TRANSPORT names one and it has published events, or commands for others; a feed, and services of one "
            "system, are read from their logs: what has not been heard there is there still."
        )
    await replacing.rewind(databases.views, RELAY, ())
