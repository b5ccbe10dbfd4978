"""Looking at a service from outside and mending it, whether it runs or not: through its databases alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from twofold.clock import Clock
from twofold.declaration import Declaration, filled_by
from twofold.errors import SettingsError
from twofold.limits import Limits
from twofold.log import Log, LogStore
from twofold.service.adapters import clock_of, is_in_memory, open_log, open_views
from twofold.service.settings import Settings
from twofold.telemetry import Telemetry
from twofold.urls import without_password
from twofold.views import ViewDatabase, ViewStore
from twofold.views.rebuilding import rebuild


class Databases(msgspec.Struct, frozen=True):
    """A service's declaration, its log and its views."""

    declaration: Declaration
    log: Log
    views: ViewDatabase
    clock: Clock
    limits: Limits = Limits()

    @property
    def service(self) -> str:
        """The service's name."""
        return self.declaration.name

    async def rebuild(self, follower: str) -> None:
        """Have a view filled anew from the first event, while it answers as it is, and return once the new rows do.

        Whoever follows the view does the work; it is waited for.

        Raises:
            NotFound: there is no such follower of a view; the text lists those that there are.
            NotNow: it was given up; the log says why.
            DeclarationError: a table has other columns than its view.
        """
        await rebuild(self.views, follower, filled_by(self.declaration, follower), self.clock)


@asynccontextmanager
async def opened_log(
    url: LogStore | str, *, clock: Clock | None = None, limits: Limits = Limits(), read_only: bool = True
) -> AsyncIterator[Log]:
    """Open the log of a URL, for reading only if nothing else is said.

    Raises:
        SettingsError: it is in the memory of another process.
        LogUnavailable: there is no log.
    """
    clock = clock_of(clock)
    check_shared(url)
    async with AsyncExitStack() as stack:
        store = open_log(url, clock, limits)
        stack.push_async_callback(store.close)
        log = await Log.open(store, clock, limits.log, read_only=read_only)
        stack.push_async_callback(log.close)
        yield log


@asynccontextmanager
async def opened(
    declaration: Declaration, settings: Settings, *, to_mend: bool = False, clock: Clock | None = None
) -> AsyncIterator[Databases]:
    """Open a service's databases: to look at only, or ``to_mend`` what followers keep.

    Raises:
        SettingsError: they are in the memory of another process.
        LogUnavailable: they are not there.
    """
    clock = clock_of(clock)
    opening = opened_log(settings.log, clock=clock, limits=settings.limits)
    async with opening as log, _opened_views(settings, clock) as looking:
        if not to_mend:
            yield Databases(declaration, log, looking, clock, settings.limits)
            return
        # Both are there, as they were opened to be looked at first: mending makes none.
        async with (
            opened_log(settings.log, clock=clock, limits=settings.limits, read_only=False) as recording,
            _opened_views(settings, clock, read_only=False) as views,
        ):
            yield Databases(declaration, recording, views, clock, settings.limits)


@asynccontextmanager
async def _opened_views(settings: Settings, clock: Clock, *, read_only: bool = True) -> AsyncIterator[ViewDatabase]:
    check_shared(settings.views)
    views = ViewDatabase(open_views(settings.views, clock, settings.limits), Telemetry(clock))
    try:
        await views.open(read_only=read_only)
        yield views
    finally:
        await views.close()


def check_shared(url: LogStore | ViewStore | str) -> None:
    """Check that other processes can see what is at a URL.

    Raises:
        SettingsError: it is in the memory of one, as an object is.
    """
    if is_in_memory(url):
        shown = repr(without_password(url)) if isinstance(url, str) else f"<{type(url).__qualname__}>"
        raise SettingsError(
            f"{shown}: what a service has in memory, no other process sees. Set TWOFOLD_LOG and "
            "TWOFOLD_VIEWS to what the service runs with, for example TWOFOLD_LOG=sqlite:///bank.db"
        )
