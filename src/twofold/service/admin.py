"""Looking at a service from outside and mending it, whether it runs or not: through its databases alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from twofold.clock import Clock, SystemClock
from twofold.errors import NotFound, NotNow, SettingsError
from twofold.followers import LEASE_SECONDS, Progress, Roster, Segment
from twofold.log import Log
from twofold.messaging import inbox_name
from twofold.service.building import layouts, view_targets
from twofold.service.declaration import Declaration
from twofold.service.settings import Settings, open_store, open_views
from twofold.urls import without_password
from twofold.views import ViewStore, table_name
from twofold.views.shadow import shadow_follower, shadow_table, shadowed

_LOOK_AGAIN_SECONDS = 0.1


class Databases(msgspec.Struct, frozen=True):
    """A service's declaration, its log to be read, and its views."""

    declaration: Declaration
    log: Log
    views: ViewStore
    clock: Clock

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
        """
        number = await begin_rebuild(self, follower)
        async for _ in rebuilding(self, follower, number):
            await self.clock.sleep(_LOOK_AGAIN_SECONDS)


@asynccontextmanager
async def opened_log(url: str, *, clock: Clock | None = None) -> AsyncIterator[Log]:
    """Open the log of a URL for reading only.

    Raises:
        SettingsError: it is in the memory of another process.
        LogUnavailable: there is no log.
    """
    clock = clock or SystemClock()
    check_shared(url)
    async with AsyncExitStack() as stack:
        store = open_store(url, clock)
        stack.push_async_callback(store.close)
        log = await Log.open(store, clock, read_only=True)
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
    clock = clock or SystemClock()
    async with opened_log(settings.log, clock=clock) as log, _opened_views(settings.views, clock) as looking:
        if not to_mend:
            yield Databases(declaration, log, looking, clock)
            return
        async with _opened_views(settings.views, clock, read_only=False) as views:
            yield Databases(declaration, log, views, clock)


@asynccontextmanager
async def _opened_views(url: str, clock: Clock, *, read_only: bool = True) -> AsyncIterator[ViewStore]:
    check_shared(url)
    views = open_views(url, clock)
    try:
        await views.open(read_only=read_only)
        yield views
    finally:
        await views.close()


def check_shared(url: str) -> None:
    """Check that other processes can see what is at a URL.

    Raises:
        SettingsError: it is in the memory of one.
    """
    if url.startswith("memory:"):
        raise SettingsError(
            f"{without_password(url)!r}: what a service has in memory, no other process sees. Set TWOFOLD_LOG and "
            "TWOFOLD_VIEWS to what the service runs with, for example TWOFOLD_LOG=sqlite:///bank.db"
        )


# How far followers are.


class Position(msgspec.Struct, frozen=True):
    """How far a segment of a follower is.

    ``head`` is the position of the last event in what it follows, and ``lag`` how many events it has yet to look at; None
    where that is the log of a service that is not among those asked for. ``followed_by`` is '' if nobody follows it now.
    ``declared`` is false of what earlier code has left behind. ``parked`` is that of the whole follower.
    """

    service: str
    follower: str
    segment: Segment
    position: int
    head: int | None
    lag: int | None
    parked: int
    followed_by: str
    declared: bool


async def positions(databases: Sequence[Databases]) -> list[Position]:
    """Return how far each follower of each service is; what has never been followed is at 0."""
    heads = {each.service: await each.log.head() for each in databases}
    return [position for each in databases for position in await _positions(each, heads)]


async def _positions(databases: Databases, heads: Mapping[str, int]) -> list[Position]:
    declaration = databases.declaration
    inboxes = {inbox_name(source): source for source in declaration.sources}
    declared = {*declaration.followers, *inboxes, *(["relay"] if declaration.publishes else [])}
    found = await databases.views.progress()
    begun = {each.follower for each in found}
    found += [Progress(name, Segment(), 0, "") for name in declaration.followers if name not in begun]
    return [
        _position(declaration.name, each, heads.get(inboxes.get(each.follower, declaration.name)), declared)
        for each in found
    ]


def _position(service: str, at: Progress, head: int | None, declared: set[str]) -> Position:
    lag = None if head is None else max(0, head - at.position)
    is_declared = at.follower in declared or shadowed(at.follower) in declared
    return Position(service, at.follower, at.segment, at.position, head, lag, at.parked, at.owner, is_declared)


# Rebuilding, and following where nobody else does.


def rebuilt_tables(declaration: Declaration, follower: str) -> tuple[str, ...]:
    """Return the tables that are emptied when a follower is rebuilt.

    Raises:
        NotFound: it is not a view's follower; the text lists those.
    """
    followers = declaration.followers
    if follower in followers:
        return followers[follower]
    known = f"The views of {declaration.name} are filled by {', '.join(followers) or 'nobody'}."
    if follower == "relay" or follower.startswith("inbox:"):
        raise NotFound(f"{follower} fills no view: it would publish or record everything once more. {known}")
    filling = [
        name for name, tables in followers.items() if follower in tables or follower in _classes(declaration, tables)
    ]
    hint = f" For {follower} that is {filling[0]}." if filling else ""
    raise NotFound(f"{declaration.name} has no follower {follower!r}. {known}{hint}")


def _classes(declaration: Declaration, tables: Sequence[str]) -> list[str]:
    return [view.__name__ for view in declaration.views if table_name(view) in tables]


async def begin_rebuild(databases: Databases, follower: str) -> int:
    """Have a view filled anew beside its table; whoever follows it does the work, for which `rebuilding` waits.

    Return a number for this rebuilding, 0 if one is under way already.

    Raises:
        NotFound: it is not a view's follower.
        DeclarationError: a table has other columns than its view.
    """
    rebuilt_tables(databases.declaration, follower)
    shapes = layouts(databases.declaration)[follower]
    for shape in shapes:
        await databases.views.create(shape)
    return await databases.views.begin_rebuild(follower, shapes)


async def rebuilding(databases: Databases, follower: str, number: int = 0) -> AsyncIterator[int]:
    """Yield how far a rebuilding is (0: the one that is under way) each time that it is asked, until the new rows answer.

    Raises:
        NotNow: it was given up.
    """
    shapes = layouts(databases.declaration)[follower]
    while found := await _segments(databases, shadow_follower(follower)):
        number = number or min(each.fence for each in found)
        yield min(each.position for each in found)
        await databases.views.take_over(follower, shapes)
    if not any(each.fence > number for each in await _segments(databases, follower)):
        raise NotNow(
            f"The rebuilding of {follower} was given up, by an operator or because it could not be done: then the log of who "
            "follows says why. The view answers as before."
        )


async def cancel_rebuild(databases: Databases, follower: str) -> None:
    """Give up filling a view anew; the view answers as before.

    Raises:
        NotFound: it is not a view's follower, or it is not being rebuilt.
    """
    tables = rebuilt_tables(databases.declaration, follower)
    if not await _segments(databases, shadow_follower(follower)):
        raise NotFound(f"{follower} of {databases.service} is not being rebuilt.")
    shadows = [shadow_table(table) for table in tables]
    await databases.views.drop(shadow_follower(follower), shadows, even_if_declared=True)


async def _segments(databases: Databases, follower: str) -> list[Progress]:
    return [each for each in await databases.views.progress() if each.follower == follower]


async def rewind(databases: Databases, follower: str) -> None:
    """Empty a view's tables and have them filled again: until that is done, the view answers from half of it.

    Raises:
        NotFound: it is not a view's follower.
        DeclarationError: a table has other columns than its view.
    """
    tables = rebuilt_tables(databases.declaration, follower)
    for shape in layouts(databases.declaration)[follower]:
        await databases.views.create(shape)
    await databases.views.rewind(follower, tables)


@asynccontextmanager
async def followed(databases: Databases, follower: str, *, elsewhere: bool) -> AsyncIterator[None]:
    """See to it that somebody follows during a block.

    If a process does so ``elsewhere``, it has the first go for as long as a lease lasts; this one takes over where none does.

    Raises:
        NotFound: the code at hand fills nothing under that name.
    """
    check_filled(databases.declaration, follower)
    targets = view_targets(databases.declaration, databases.log, databases.views, databases.clock)
    own = {name: targets[name] for name in (follower, shadow_follower(follower)) if name in targets}
    roster = Roster(databases.views, own, databases.clock, databases.service)
    following = asyncio.create_task(_follow(databases, roster, LEASE_SECONDS if elsewhere else 0))
    try:
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _follow(databases: Databases, roster: Roster, pause_seconds: float) -> None:
    await databases.clock.sleep(pause_seconds)
    await roster.run()


async def is_followed(databases: Databases, follower: str) -> bool:
    """Say whether a process follows now."""
    return any(each.owner for each in await databases.views.progress() if each.follower == follower)


def check_filled(declaration: Declaration, follower: str) -> None:
    """Check that the code at hand fills something under a follower's name.

    Raises:
        NotFound: earlier code did, or other code does.
    """
    if (shadowed(follower) or follower) not in declaration.followers:
        raise NotFound(
            f"Nothing in the code of {declaration.name} follows as {follower}: run the code that does, or discard what it has "
            f"parked. This code has {', '.join(declaration.followers) or 'no views'}."
        )
