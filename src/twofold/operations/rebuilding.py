"""Rebuilding views, and following where nobody else does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from twofold.declaration import check_filled, filled_by
from twofold.errors import NotFound
from twofold.followers import Coordinator
from twofold.followers.shadow import shadow_follower
from twofold.operations.databases import Databases
from twofold.service.handlers import view_handlers
from twofold.views import rebuilding as views
from twofold.views import replacing, schema
from twofold.views.shadow import shadow_table


async def begin_rebuild(databases: Databases, follower: str) -> int:
    """Have a view filled anew beside its table; whoever follows it does the work, for which `rebuilding` waits.

    Return a number for this rebuilding, 0 if one is under way already.

    Raises:
        NotFound: it is not a view's follower.
        DeclarationError: a table has other columns than its view.
    """
    return await views.begin_rebuild(databases.views, follower, filled_by(databases.declaration, follower))


def rebuilding(databases: Databases, follower: str, number: int = 0) -> AsyncIterator[int]:
    """Yield how far a rebuilding is (0: the one that is under way) each time that it is asked, until the new rows answer.

    Raises:
        NotFound: it is not a view's follower.
        NotNow: it was given up.
    """
    return views.rebuilding(databases.views, follower, filled_by(databases.declaration, follower), number)


async def cancel_rebuild(databases: Databases, follower: str) -> None:
    """Give up filling a view anew; the view answers as before.

    Raises:
        NotFound: it is not a view's follower, or it is not being rebuilt.
    """
    shadows = [shadow_table(shape.table) for shape in filled_by(databases.declaration, follower)]
    if not await views.segments_of(databases.views, shadow_follower(follower)):
        raise NotFound(f"{follower} of {databases.service} is not being rebuilt.")
    await replacing.drop(databases.views, shadow_follower(follower), shadows, even_if_declared=True)


async def rewind(databases: Databases, follower: str) -> None:
    """Empty a view's tables and have them filled again: until that is done, the view answers from half of it.

    Raises:
        NotFound: it is not a view's follower.
        DeclarationError: a table has other columns than its view.
    """
    shapes = filled_by(databases.declaration, follower)
    for shape in shapes:
        await schema.create(databases.views, shape)
    await replacing.rewind(databases.views, follower, [shape.table for shape in shapes])


@asynccontextmanager
async def followed(databases: Databases, follower: str, *, elsewhere: bool) -> AsyncIterator[None]:
    """See to it that somebody follows during a block.

    If a process does so ``elsewhere``, it has the first go for as long as a lease lasts; this one takes over where none does.

    Raises:
        NotFound: the code at hand fills nothing under that name.
    """
    check_filled(databases.declaration, follower)
    limits = databases.limits.followers
    handlers = view_handlers(databases.declaration, databases.log, databases.views, databases.clock, limits)
    own = {name: handlers[name] for name in (follower, shadow_follower(follower)) if name in handlers}
    coordinator = Coordinator(databases.views, own, databases.clock, databases.service, limits=limits)
    following = asyncio.create_task(_follow(databases, coordinator, limits.lease_seconds if elsewhere else 0))
    try:
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _follow(databases: Databases, coordinator: Coordinator, pause_seconds: float) -> None:
    await databases.clock.sleep(pause_seconds)
    await coordinator.run()


async def is_followed(databases: Databases, follower: str) -> bool:
    """Say whether a process follows now."""
    return any(each.owner for each in await views.segments_of(databases.views, follower))
