"""Rebuilding views."""

from __future__ import annotations

from collections.abc import AsyncIterator

from twofold.declaration import filled_by
from twofold.errors import NotFound
from twofold.followers.shadow import shadow_follower
from twofold.operations.databases import Databases
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
