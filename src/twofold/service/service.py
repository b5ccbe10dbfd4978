"""Services and systems of services, as users declare and start them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from twofold.clock import Clock
from twofold.commands import Aggregate, Decider
from twofold.declaration.declaration import declare
from twofold.declaration.together import check_together
from twofold.errors import DeclarationError, NotRunning, SettingsError
from twofold.log import LogStore
from twofold.messages import Command, Event, Metadata, Query, Receipt, source_location
from twofold.messaging import LogTransport, Outbox, Transport
from twofold.processes import NO_RESOURCES, Process, Resources, Schedule
from twofold.queries import After, Update
from twofold.service.adapters import clock_of
from twofold.service.closing import Closing
from twofold.service.opening import opened, start
from twofold.service.roles import ROLES, Role
from twofold.service.running import Running
from twofold.service.settings import Settings, read_settings, settings_of, variable
from twofold.views import Projection, View, ViewStore

if TYPE_CHECKING:
    from types import TracebackType

A = TypeVar("A")


class Service:
    """One log and what is made of it: the unit that is declared, started and scaled.

    ``publishes`` are events that other services may hear; ``subscribes`` are types of its own for theirs, declared with
    ``source=``. ``ignores`` are the names of events in its log that nothing is to read any more. ``handlers`` do something
    outside when an event has happened; ``resources`` says how that is opened which they take as parameters, by its class: by a
    function that returns an async context manager. ``processes`` see things through: they react to events with commands.
    ``sends`` are commands of other services that are sent from outside of these, and ``takes_commands_from`` names the
    services whose commands it takes. What a service is made of is checked here, at import.

    >>> import asyncio
    >>> from examples.bank import Balance, BalanceOf, Deposit, bank
    >>> async def example():
    ...     async with bank.run(Settings(log="memory:", views="memory:")) as running:
    ...         receipt = await running.send(Deposit(account="ann", amount=5))
    ...         return await running.ask(BalanceOf(account="ann"), after=receipt)
    >>> asyncio.run(example())
    Balance(key='ann', owner='', amount=5)

    Raises:
        DeclarationError: something in it cannot work; the text names the class or function and its line.
    """

    def __init__(
        self,
        name: str,
        *,
        aggregates: Sequence[type[Aggregate]] = (),
        decisions: Sequence[Callable[..., Any] | Decider] = (),
        views: Sequence[type[View]] = (),
        projections: Sequence[Projection] = (),
        queries: Sequence[Callable[..., Any]] = (),
        publishes: Sequence[type[Event]] = (),
        subscribes: Sequence[type[Event]] = (),
        ignores: Sequence[str] = (),
        processes: Sequence[type[Process]] = (),
        sends: Sequence[type[Command]] = (),
        takes_commands_from: Sequence[str] = (),
        handlers: Sequence[Callable[..., Any]] = (),
        resources: Resources = NO_RESOURCES,
        schedules: Sequence[Schedule] = (),
    ) -> None:
        self.declaration = declare(
            name,
            aggregates=aggregates,
            decisions=decisions,
            views=views,
            projections=projections,
            queries=queries,
            publishes=publishes,
            subscribes=subscribes,
            ignores=ignores,
            processes=processes,
            sends=sends,
            takes_commands_from=takes_commands_from,
            handlers=handlers,
            resources=resources,
            schedules=schedules,
        )
        self._running: Running | None = None
        self._stack = AsyncExitStack()

    @property
    def name(self) -> str:
        """The service's name, which is also its events' source."""
        return self.declaration.name

    def run(
        self,
        settings: Settings | None = None,
        *,
        log: LogStore | str | None = None,
        views: ViewStore | str | None = None,
        transport: Transport | str | None = None,
        clock: Clock | None = None,
        roles: Collection[Role] = ROLES,
        resources: Resources = NO_RESOURCES,
    ) -> AbstractAsyncContextManager[Running]:
        """Run the service for a block; without settings, by those in the environment.

        ``log``, ``views`` and ``transport`` are URLs, or objects of the program's own, instead of what settings would name::

            async with bank.run(log=MyLog(), views="memory:", clock=MyClock()) as running:
                ...

        Who opens something closes it. So an object for the log or the views comes unopened, is for this run alone, and is
        closed at its end, as if a URL had led to it; a transport comes open, may be given to several services, and is left
        open. The signal that wakes followers is the log's own: `LogStore.changed`.

        Of ``roles`` this process takes some and leaves the others to other processes: with ``roles=["queries"]`` it
        answers, writes nothing, and may have the URL of a replica for its views.

        ``resources`` are opened instead of those that are declared for the same classes, so that a test gives event handlers
        others: ``bank.run(resources={Mailer: fake_mailer})``.

        Raises:
            SettingsError: a setting is wrong, and the text names the variable; an object lacks something of its port; both
                the settings and an argument say where something is; or a resource is missing or cannot be opened.
            LogUnavailable: a database cannot be opened.
        """
        settings = settings_of(self.name, settings, log=log, views=views, transport=transport)
        return start(self.declaration, settings, roles=roles, clock=clock, resources=resources)

    # The one instance that a module-level service stands for, where a program has just one of it.

    async def __aenter__(self) -> Running:
        if self._running is not None:
            raise DeclarationError(
                f"{self.name} runs already. For a second instance use: async with {self.name}.run(…)."
            )
        self._running = await self._stack.enter_async_context(self.run())
        return self._running

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running = None
        await self._stack.aclose()

    @property
    def is_running(self) -> bool:
        """Whether `running` has something to return."""
        return self._running is not None

    @property
    def running(self) -> Running:
        """The instance that was started with ``async with service``.

        Raises:
            NotRunning: there is none.
        """
        if self._running is None:
            raise NotRunning(
                f"{self.name} is not running. Start it: async with {self.name}: … — in FastAPI, "
                f"FastAPI(lifespan={self.name}.lifespan)."
            )
        return self._running

    async def send(
        self, command: Command, *, id: str = "", at: datetime | None = None, metadata: Metadata | None = None
    ) -> Receipt:
        """`Running.send` of the running instance."""
        return await self.running.send(command, id=id, at=at, metadata=metadata)

    async def cancel(self, id: str) -> bool:
        """`Running.cancel` of the running instance."""
        return await self.running.cancel(id)

    async def request(
        self, command: Command, *, timeout_seconds: float, id: str = "", metadata: Metadata | None = None
    ) -> Receipt:
        """`Running.request` of the running instance."""
        return await self.running.request(command, timeout_seconds=timeout_seconds, id=id, metadata=metadata)

    async def ask(self, query: Query[A], *, after: After = (), timeout_seconds: float | None = None) -> A:
        """`Running.ask` of the running instance."""
        return await self.running.ask(query, after=after, timeout_seconds=timeout_seconds)

    def watch(
        self,
        query: Query[A],
        *,
        after: After = (),
        since: str = "",
        timeout_seconds: float | None = None,
    ) -> AsyncGenerator[Update[A], None]:
        """`Running.watch` of the running instance."""
        return self.running.watch(query, after=after, since=since, timeout_seconds=timeout_seconds)

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """Run the service as long as an ASGI application: ``FastAPI(lifespan=bank.lifespan)``."""
        async with self:
            yield


class System:
    """Several services that run together, each with databases of its own; only published events travel between them.

    They may be listed in any order.
    """

    def __init__(self, *services: Service) -> None:
        for service in services:
            if not isinstance(service, Service):
                raise DeclarationError(
                    f"System(…) takes services, one after the other, and got {source_location(service)}. Write "
                    "System(sales, stock)."
                )
        self.services = {service.name: service for service in services}
        if len(self.services) < len(services):
            raise DeclarationError("System(…): two services have the same name.")
        check_together(each.declaration for each in services)

    @asynccontextmanager
    async def run(
        self,
        settings: Mapping[str, Settings] | None = None,
        *,
        clock: Clock | None = None,
        roles: Collection[Role] = ROLES,
        resources: Mapping[str, Resources] = MappingProxyType({}),
    ) -> AsyncIterator[dict[str, Running]]:
        """Run all services for a block, in the same roles; without settings, by those in the environment.

        Services that name no transport follow each other's logs, so any number of processes may run the same system. Each
        service keeps its own log and views, so objects for these are in its settings: ``Settings(log=MyLog(), …)``.
        ``resources`` are those of its services, by their names, which are opened instead of what they declare.

        Raises:
            SettingsError: a setting is wrong, and the text names the variable; the settings are not those of its services; or
                a resource is missing or cannot be opened.
            LogUnavailable: a database cannot be opened.
        """
        if settings is None:
            settings = {name: read_settings(name) for name in self.services}
        self._check_complete(settings)
        _check_apart(settings)
        self._check_heard(settings)
        for name in resources:
            if name not in self.services:
                raise SettingsError(
                    f"System.run(resources=…) has {name}, and it is a system of {', '.join(self.services)}."
                )
        outboxes: dict[str, Outbox] = {}
        shared = LogTransport(outboxes)
        seconds = max([each.limits.service.closing_seconds for each in settings.values()], default=0)
        clock = clock_of(clock)
        closing = Closing(clock, seconds)
        async with AsyncExitStack() as stack:
            running = {}
            for name, service in self.services.items():
                each = settings[name]
                if each.transport == "":
                    each = replace(each, transport=shared)
                running[name] = await stack.enter_async_context(
                    opened(
                        service.declaration,
                        each,
                        roles=roles,
                        clock=clock,
                        resources=resources.get(name, NO_RESOURCES),
                        closing=closing,
                    )
                )
                outboxes[name] = running[name].outbox
            # All end together, before the first log is closed that another one still follows.
            stack.push_async_callback(closing.close, ", ".join(running), partial(_close, running.values()))
            for started in running.values():
                started.follow()
            yield running

    def _check_complete(self, settings: Mapping[str, Settings]) -> None:
        if not isinstance(settings, Mapping):
            raise SettingsError(
                f"System.run(…) takes a mapping with the settings of {', '.join(self.services)}, by their names, and got a "
                f"{type(settings).__qualname__}."
            )
        for name in self.services:
            if name not in settings:
                raise SettingsError(
                    f"System.run(…) lacks the settings of {name}, and has those of {', '.join(settings) or 'none'}. "
                    "Give them by the names of its services, or leave them out to read them from the environment."
                )
            if not isinstance(settings[name], Settings):
                raise SettingsError(
                    f"The settings of {name} are a {type(settings[name]).__qualname__}: write Settings(log=…, views=…)."
                )

    def _check_heard(self, settings: Mapping[str, Settings]) -> None:
        for name, service in self.services.items():
            away = [source for source in service.declaration.sources if source not in self.services]
            if away and settings[name].transport == "":
                raise SettingsError(
                    f"{name} has to hear of {away[0]}, which is not a service of this system. Say where it is, for "
                    f"example {variable(name, 'TRANSPORT')}=feed:{away[0]}=http://127.0.0.1:8001"
                )


async def _close(running: Iterable[Running]) -> None:
    await asyncio.gather(*[each.close() for each in running])


def _check_apart(settings: Mapping[str, Settings]) -> None:
    for what in ("log", "views"):
        used: dict[Any, str] = {}
        for name, each in settings.items():
            given = getattr(each, what)
            is_url = isinstance(given, str)
            other = used.setdefault(given if is_url else id(given), name)
            if other != name and given != "memory:":
                own = (
                    f"Let the URL name the service, for example TWOFOLD_{what.upper()}=sqlite:///{{service}}-{what}.db"
                )
                raise SettingsError(
                    f"{other} and {name} have one {'URL' if is_url else 'object'} for their {what}, and each service keeps "
                    f"its own. {own if is_url else 'Give each an object of its own.'}"
                )
