"""A bridge from one transport to another: what services publish by the one is heard by the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from twofold.clock import Clock
from twofold.errors import SettingsError
from twofold.followers import Coordinator
from twofold.limits import Limits
from twofold.messaging import BridgeHandler, Deliveries, Transport
from twofold.service.adapters import clock_of, open_transport, open_views
from twofold.telemetry import Telemetry
from twofold.views import ViewStore


@asynccontextmanager
async def bridge(
    name: str,
    sources: Collection[str],
    heard: Transport | str,
    told: Transport | str,
    *,
    views: ViewStore | str,
    clock: Clock | None = None,
    limits: Limits = Limits(),
) -> AsyncIterator[Coordinator]:
    """Carry over what some services publish for a block, from one transport to another; what fails shows in what is given.

    It is a subscriber by its ``name``, and keeps in the database of ``views`` how far it is. Any number of processes may run
    the same one: each source is carried by one of them, and by another when that one ends.

    Raises:
        SettingsError: a URL is wrong or its driver is missing, or nothing can be published by the second transport.
        LogUnavailable: the database cannot be opened.
    """
    clock = clock_of(clock)
    telemetry = Telemetry(clock, name)
    by, to = open_transport(heard, clock, limits, sources), open_transport(told, clock, limits)
    if not to.pushes:
        raise SettingsError(
            f"{name} is to publish by {type(to).__qualname__}, which reads the log of each service by itself. Name a broker."
        )
    store = open_views(views, clock, limits)
    async with AsyncExitStack() as stack:
        for each in (by, to, store):
            stack.push_async_callback(each.close)
        await store.open()
        make = partial(BridgeHandler, heard=Deliveries(by, telemetry), told=Deliveries(to, telemetry), store=store)
        handlers = {f"bridge:{source}": partial(make, name, source) for source in sources}
        coordinator = Coordinator(store, handlers, clock, name, limits=limits.followers, telemetry=telemetry)
        carrying = asyncio.create_task(coordinator.run())
        try:
            yield coordinator
        finally:
            carrying.cancel()
            await asyncio.gather(carrying, return_exceptions=True)
