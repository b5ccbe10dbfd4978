"""Dividing a follower's work: into more segments, for more processes, and back into one."""

from __future__ import annotations

from twofold.declaration import check_filled
from twofold.errors import NotFound
from twofold.followers import checkpoints, claiming
from twofold.messaging import carries_events
from twofold.operations.databases import Databases
from twofold.operations.following import followed, is_followed
from twofold.views import table_name

_LOOK_AGAIN_SECONDS = 0.1


async def split(databases: Databases, follower: str, parts: int) -> None:
    """Cut each segment of a follower into so many parts, which the processes that are there share among them.

    Raises:
        NotFound: its keys have one order, or it has never been followed.
        NotNow: it is about to be merged, or has parked events that name no key.
    """
    check_divisible(databases, follower)
    await claiming.split(databases.views, follower, parts)


async def merge(databases: Databases, follower: str) -> None:
    """Make one segment of all that a follower has, and return when there is one.

    Those that are behind catch up with the foremost first; if no process follows them, that is done here.

    Raises:
        NotFound: its keys have one order, or it has never been followed.
        NotNow: it has parked events that name no key.
        SettingsError: it is an event handler's, and what that works with cannot be opened here.
    """
    check_divisible(databases, follower)
    elsewhere = await is_followed(databases, follower)
    await claiming.merge(databases.views, follower)
    async with followed(databases, follower, elsewhere=elsewhere):
        while await segments_of(databases, follower) > 1:
            await databases.clock.sleep(_LOOK_AGAIN_SECONDS)


async def segments_of(databases: Databases, follower: str) -> int:
    """Return how many segments a follower has now."""
    return sum(each.follower == follower for each in await checkpoints.progress(databases.views))


def check_divisible(databases: Databases, follower: str) -> None:
    """Check that a follower's keys can be followed apart from each other.

    Raises:
        NotFound: they cannot, or the code at hand has no such follower; the text lists those that can.
    """
    declaration = databases.declaration
    divisible = [*map(table_name, declaration.folded), *declaration.starts]
    if follower in [*divisible, *declaration.doing]:
        return
    if carries_events(follower):
        raise NotFound(_undivided(follower, "what it passes on has one order", divisible))
    check_filled(declaration, follower)
    raise NotFound(_undivided(follower, "a projection's rows may be anybody's", divisible))


def _undivided(follower: str, reason: str, divisible: list[str]) -> str:
    others = (
        f"Those of {', '.join(divisible)} can be." if divisible else "This service has no follower whose keys can be."
    )
    return f"{follower} has one order for all its events, as {reason}: they cannot be followed apart. {others}"
