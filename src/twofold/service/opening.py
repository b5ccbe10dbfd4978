"""Opening a service: its databases as far as its roles need them, and the order in which all is let go of again."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from twofold.clock import Clock
from twofold.declaration import Declaration
from twofold.log import Log
from twofold.processes import NO_RESOURCES, Resources, begin, begin_schedules, opened_resources
from twofold.service.adapters import clock_of, open_log, open_transport, open_views
from twofold.service.beginning import tell_what_is_new
from twofold.service.closing import Closing
from twofold.service.roles import ROLES, Role, roles_of
from twofold.service.running import Running
from twofold.service.settings import Settings, check_files
from twofold.telemetry import Telemetry
from twofold.views import ViewDatabase, ViewStore, layout, schema

_logger = logging.getLogger("twofold.service")


@asynccontextmanager
async def start(
    declaration: Declaration,
    settings: Settings,
    *,
    roles: Collection[Role] = ROLES,
    clock: Clock | None = None,
    resources: Resources = NO_RESOURCES,
) -> AsyncIterator[Running]:
    """Run a service until the block ends.

    ``resources`` are opened instead of those that are declared for the same classes.

    Raises:
        SettingsError: a URL is wrong, its adapter cannot be used, its driver is missing, the clock is none, or a resource is
            missing or cannot be opened.
        LogUnavailable: a database cannot be opened.
        DeclarationError: a view's table has other columns than the view.
    """
    async with opened(declaration, settings, roles=roles, clock=clock, resources=resources) as running:
        running.follow()
        yield running


@asynccontextmanager
async def opened(
    declaration: Declaration,
    settings: Settings,
    *,
    roles: Collection[Role] = ROLES,
    clock: Clock | None = None,
    resources: Resources = NO_RESOURCES,
    closing: Closing | None = None,
) -> AsyncIterator[Running]:
    """Open a service's databases and let it take commands; its followers start with `Running.follow`.

    Services that are closed together have one bound for that: ``closing``.

    Raises:
        SettingsError: a URL is wrong, its adapter cannot be used, its driver is missing, the clock is none, or a resource is
            missing or cannot be opened.
        LogUnavailable: a database cannot be opened.
        DeclarationError: a view's table has other columns than the view.
    """
    clock, roles = clock_of(clock), roles_of(roles)
    check_files(settings)
    limits = settings.limits
    name, close = declaration.name, (closing or Closing(clock, limits.service.closing_seconds)).close
    telemetry = Telemetry(clock, name)
    store = open_log(settings.log, clock, limits)
    views = ViewDatabase(open_views(settings.views, clock, limits), telemetry)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(close, f"The views of {name}", views.close)
        await _prepare(views, declaration, roles)
        log = await Log.open(store, clock, limits.log, telemetry, read_only=roles == {"queries"})
        stack.push_async_callback(close, f"The log of {name}", log.close)
        transport = None
        if settings.transport != "":
            transport = open_transport(settings.transport, clock, limits, declaration.sources)
        if transport is not None and transport is not settings.transport:
            # One that was given may carry other services' events, too.
            stack.push_async_callback(close, f"The transport of {name}", transport.close)
        given: Mapping[type, Any] = {}
        if "processes" in roles:
            opening = AsyncExitStack()
            stack.push_async_callback(close, f"The resources of {name}", opening.aclose)
            given = await opened_resources(name, declaration.resources, resources, declaration.handlers, opening)
        running = Running(declaration, settings, log, views, transport, clock, roles, given)
        await tell_what_is_new(declaration, settings, log, views if "followers" in roles else None)
        if "processes" in roles:
            await begin(declaration.starts, log, views, clock)
            await begin_schedules(declaration.schedules, log, views, clock)
        if roles & {"queries", "followers"}:
            await running.view_versions.open(may_write="followers" in roles)
        stack.push_async_callback(close, name, running.close)
        running.background.compare()
        _logger.info("%s runs; its log is at position %d", running.name, log.known_head)
        yield running


async def _prepare(views: ViewStore, declaration: Declaration, roles: frozenset[Role]) -> None:
    """Open the views as far as the roles need: to write, to read (a replica, perhaps), or not at all."""
    if roles & {"followers", "processes", "relay"}:
        await views.open()
        for view in (*declaration.views, *declaration.kept):
            await schema.create(views, layout(view))
    elif "queries" in roles:
        await views.open(read_only=True)
