"""What a service has followed: the handlers of batches, by the names of the followers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from twofold.clock import Clock
from twofold.commands import CommandHandler
from twofold.declaration import Declaration
from twofold.followers import BatchHandler
from twofold.followers.shadow import shadow_follower
from twofold.limits import FollowerLimits, HandlerLimits, Limits
from twofold.log import Log
from twofold.messaging import RELAY, Deliveries, InboxHandler, Outbox, RelayHandler, Transport, inbox_name
from twofold.processes import (
    COMMANDS,
    SCHEDULES,
    TIMERS,
    EventHandling,
    ProcessHandler,
    ScheduleHandler,
    SentCommandHandler,
    TimerHandler,
)
from twofold.service.roles import Role
from twofold.views import ProjectionHandler, ViewHandler, ViewStore, table_name


def batch_handlers(
    declaration: Declaration, roles: Collection[Role], commands: CommandHandler, log: Log, store: ViewStore,
    outbox: Outbox, transport: Transport | None, clock: Clock, limits: Limits, resources: Mapping[type, Any],
) -> dict[str, Callable[[], BatchHandler]]:  # fmt: skip
    """Return what handles batches in a process, by the followers' names, as its roles call for it."""
    handlers: dict[str, Callable[[], BatchHandler]] = {}
    if "followers" in roles:
        handlers |= view_handlers(declaration, log, store, clock, limits.followers)
    if "processes" in roles:
        handlers |= process_handlers(declaration, commands, log, store, clock, limits.handlers, resources)
    if "relay" in roles and transport is not None:
        deliveries = Deliveries(transport, log.telemetry)
        handlers |= _carrying_handlers(declaration, log, store, outbox, deliveries, clock)
    return handlers


def view_handlers(
    declaration: Declaration, log: Log, store: ViewStore, clock: Clock, limits: FollowerLimits
) -> dict[str, Callable[[], BatchHandler]]:
    """Return what fills the views, and what fills their shadows when they are rebuilt, by the followers' names."""
    handlers: dict[str, Callable[[], BatchHandler]] = {}
    for view in declaration.folded:
        make = partial(ViewHandler, view, log, store, clock, limits=limits)
        handlers[table_name(view)], handlers[shadow_follower(table_name(view))] = make, partial(make, as_shadow=True)
    for projection in declaration.projections:
        run = partial(ProjectionHandler, projection, log, store, clock, limits=limits)
        handlers[projection.name], handlers[shadow_follower(projection.name)] = run, partial(run, as_shadow=True)
    return handlers


def process_handlers(
    declaration: Declaration, commands: CommandHandler, log: Log, store: ViewStore, clock: Clock, limits: HandlerLimits,
    resources: Mapping[type, Any],
) -> dict[str, Callable[[], BatchHandler]]:  # fmt: skip
    """Return what sees things through, and carries out commands, by the followers' names."""
    handlers: dict[str, Callable[[], BatchHandler]] = {
        each.follower: partial(ProcessHandler, each, declaration.name, log, store, clock, limits)
        for each in declaration.processes
    }
    for each in declaration.handlers:
        handlers[each.follower] = partial(EventHandling, each, declaration.name, resources, log, store, clock, limits)
    if declaration.carries_out:
        handlers |= carrying_out_handlers(declaration, commands, log, store, clock, limits)
    if declaration.schedules:
        handlers[SCHEDULES] = partial(
            ScheduleHandler, declaration.name, declaration.schedules, log, store, clock, limits
        )
    return handlers


def carrying_out_handlers(
    declaration: Declaration, commands: CommandHandler, log: Log, store: ViewStore, clock: Clock, limits: HandlerLimits
) -> dict[str, Callable[[], BatchHandler]]:
    """Return what carries out the commands that are in the log, at once or at their time, by the followers' names."""
    make = partial(
        SentCommandHandler, declaration.name, declaration.takes_commands_from, declaration.commands, commands, log, store,
        clock, limits,
    )  # fmt: skip
    return {COMMANDS: make, TIMERS: partial(TimerHandler, log, store, clock, limits)}


def _carrying_handlers(
    declaration: Declaration, log: Log, store: ViewStore, outbox: Outbox, deliveries: Deliveries, clock: Clock
) -> dict[str, Callable[[], BatchHandler]]:
    handlers: dict[str, Callable[[], BatchHandler]] = {}
    if declaration.tells and deliveries.pushes:
        handlers[RELAY] = partial(RelayHandler, outbox, store, deliveries)
    for source, events in declaration.sources.items():
        handlers[inbox_name(source)] = partial(
            InboxHandler, declaration.name, source, events, log, store, deliveries, clock
        )
    return handlers
