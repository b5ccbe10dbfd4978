"""Rebuilding a view: asking for it to be filled anew beside its table, and waiting until the new rows answer.

Whoever follows the view does the work. `twofold.views.shadow` says what it is done with.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from twofold.clock import Clock
from twofold.errors import NotNow
from twofold.followers import Progress, checkpoints
from twofold.followers.shadow import shadow_follower
from twofold.views import replacing, schema
from twofold.views.store import ViewStore
from twofold.views.view import Layout

_LOOK_AGAIN_SECONDS = 0.1


async def rebuild(store: ViewStore, follower: str, layouts: Sequence[Layout], clock: Clock) -> None:
    """Have a follower's tables filled anew from the first event, and return once the new rows answer.

    Raises:
        NotNow: it was given up; the log says why.
        DeclarationError: a table has other columns than its view.
    """
    number = await begin_rebuild(store, follower, layouts)
    async for _ in rebuilding(store, follower, layouts, number):
        await clock.sleep(_LOOK_AGAIN_SECONDS)


async def begin_rebuild(store: ViewStore, follower: str, layouts: Sequence[Layout]) -> int:
    """Have a follower's tables filled anew, and return a number for this rebuilding, 0 if one is under way already.

    Raises:
        DeclarationError: a table has other columns than its view.
    """
    for shape in layouts:
        await schema.create(store, shape)
    return await replacing.begin(store, follower, layouts)


async def rebuilding(store: ViewStore, follower: str, layouts: Sequence[Layout], number: int = 0) -> AsyncIterator[int]:
    """Yield how far a rebuilding is (0: the one that is under way) each time that it is asked, until the new rows answer.

    Raises:
        NotNow: it was given up.
    """
    while found := await segments_of(store, shadow_follower(follower)):
        number = number or min(each.fence for each in found)
        yield min(each.position for each in found)
        await replacing.take_over(store, follower, layouts)
    if not any(each.fence > number for each in await segments_of(store, follower)):
        raise NotNow(
            f"The rebuilding of {follower} was given up, by an operator or because it could not be done: then the log of who "
            "follows says why. The view answers as before."
        )


async def segments_of(store: ViewStore, follower: str) -> list[Progress]:
    """Return how far each segment of a follower is."""
    return [each for each in await checkpoints.progress(store) if each.follower == follower]
