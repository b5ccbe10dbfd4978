"""Following where nobody else does: what an operator waits for is done here, if no service runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from twofold.commands import CommandHandler
from twofold.declaration import check_filled
from twofold.followers import BatchHandler, Coordinator
from twofold.followers.shadow import shadow_follower
from twofold.operations.databases import Databases
from twofold.processes import NO_RESOURCES, opened_resources
from twofold.service.handlers import carrying_out_handlers, process_handlers, view_handlers
from twofold.views import rebuilding


@asynccontextmanager
async def followed(databases: Databases, follower: str, *, elsewhere: bool) -> AsyncIterator[None]:
    """See to it that somebody follows during a block.

    If a process does so ``elsewhere``, it has the first go for as long as a lease lasts; this one takes over where none does.
    But what calls others or sends something is left to that process, which has been given what it works with.

    Raises:
        NotFound: the code at hand does nothing under that name.
        SettingsError: it is an event handler's, and what that works with cannot be opened here; the text says what to do.
    """
    check_filled(databases.declaration, follower)
    if elsewhere and follower in databases.declaration.doing:
        yield
        return
    limits = databases.limits.followers
    async with AsyncExitStack() as stack:
        handlers = await _handlers(databases, follower, stack)
        coordinator = Coordinator(databases.views, handlers, databases.clock, databases.service, limits=limits)
        following = asyncio.create_task(_follow(databases, coordinator, limits.lease_seconds if elsewhere else 0))
        try:
            yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def _handlers(
    databases: Databases, follower: str, stack: AsyncExitStack
) -> Mapping[str, Callable[[], BatchHandler]]:
    """Return what handles the batches of a follower, and of its shadow; the stack closes what that works with."""
    declaration = databases.declaration
    if follower not in declaration.doing:
        limits = databases.limits.followers
        handlers = view_handlers(declaration, databases.log, databases.views, databases.clock, limits)
        return {name: handlers[name] for name in (follower, shadow_follower(follower)) if name in handlers}
    resources: Mapping[type, Any] = {}
    if any(each.follower == follower for each in declaration.handlers):
        resources = await opened_resources(
            declaration.name, declaration.resources, NO_RESOURCES, declaration.handlers, stack
        )
    return {follower: doing_handlers(databases, resources)[follower]}


def doing_handlers(databases: Databases, resources: Mapping[type, Any]) -> dict[str, Callable[[], BatchHandler]]:
    """Return what handles the batches of the role "processes", by the followers' names."""
    declaration, log, views, clock = databases.declaration, databases.log, databases.views, databases.clock
    commands = CommandHandler(log, declaration.deciders, clock, databases.limits.commands)
    limits = databases.limits.handlers
    handlers = carrying_out_handlers(declaration, commands, log, views, clock, limits)
    return handlers | process_handlers(declaration, commands, log, views, clock, limits, resources)


async def _follow(databases: Databases, coordinator: Coordinator, pause_seconds: float) -> None:
    await databases.clock.sleep(pause_seconds)
    await coordinator.run()


async def is_followed(databases: Databases, follower: str) -> bool:
    """Say whether a process follows now."""
    return any(each.owner for each in await rebuilding.segments_of(databases.views, follower))
