"""A service that runs: its log, its followers, and the two things that one can do with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from twofold.clock import Clock, SystemClock
from twofold.commands import Handler
from twofold.errors import FutureReceipt, InvalidReceipt, NotRunning, UnknownMessage
from twofold.followers import Progress, Roster, Target
from twofold.log import Log
from twofold.messages import Command, Metadata, Query, Receipt
from twofold.messaging import Delivery, InboxTarget, Outbox, RelayTarget, Transport, inbox_name
from twofold.service.declaration import Declaration
from twofold.service.settings import Settings, open_store, open_transport, open_views
from twofold.views import Arrivals, ProjectionTarget, Views, ViewStore, ViewTarget, layout, table_name

if TYPE_CHECKING:
    from twofold.views import Answer

A = TypeVar("A")

PATIENCE_SECONDS = 5.0
"""How long a query waits for its receipts unless told otherwise."""

_DRAINING_SECONDS = 3.0

_logger = logging.getLogger("twofold.service")


class Running:
    """A started service: `send` commands to it, `ask` it queries."""

    def __init__(
        self, declaration: Declaration, settings: Settings, log: Log, views: ViewStore, transport: Transport | None,
        clock: Clock,
    ) -> None:  # fmt: skip
        self.declaration = declaration
        self.settings = settings
        self.log = log
        self.views = views
        self.clock = clock
        self.outbox = Outbox(declaration.name, declaration.publishes, log)
        self._transport = transport
        self._handler = Handler(log, declaration.deciders, clock)
        self._answers: dict[type, Answer] = {answer.query: answer for answer in declaration.answers}
        self._arrivals = Arrivals(views.position)
        self._filled_by = {table: name for name, tables in declaration.followers.items() for table in tables}
        self.roster = Roster(views, self._targets(), clock, self.name, self._arrivals.moved)
        self._following: asyncio.Task[None] | None = None
        self._ended = False
        self._sending = 0
        self._drained = asyncio.Event()

    @property
    def name(self) -> str:
        """The service's name."""
        return self.declaration.name

    async def send(self, command: Command, *, id: str = "", metadata: Metadata | None = None) -> Receipt:
        """Have a command decided, and return once its events are durable.

        A non-empty ``id`` makes it safe to send the command again: it takes effect once, and the receipt is the first one.

        Raises:
            Rejected: the decision refused it.
            TooManyConflicts: others changed its states each time it was decided.
            UnknownMessage: nothing decides on it here.
            LogUnavailable: the log failed.
            NotRunning: the service has ended.
        """
        self._check_running()
        self._sending += 1
        try:
            return Receipt(self.name, await self._handler.handle(command, id=id, metadata=metadata))
        finally:
            self._sending -= 1
            if not self._sending:
                self._drained.set()

    async def ask(
        self, query: Query[A], *, after: Receipt | Iterable[Receipt] = (), timeout_seconds: float = PATIENCE_SECONDS
    ) -> A:
        """Answer a query, from views that have seen at least what the receipts stand for.

        A receipt of another service, from which this one hears, is waited for too.

        Raises:
            ReceiptTimeout: the views did not get there in time.
            FutureReceipt: the log has not reached the receipt's position.
            InvalidReceipt: it is of a service that this one does not hear.
            UnknownMessage: nothing answers the query here.
            NotRunning: the service has ended.
        """
        self._check_running()
        answer = self._answers.get(type(query))
        if answer is None:
            raise UnknownMessage(f"Nothing answers {type(query).__name__} here. Add its answer to queries=[…].")
        receipts = (after,) if isinstance(after, Receipt) else tuple(after)
        deadline = self.clock.monotonic() + timeout_seconds
        position = await self._own_position(receipts, deadline)
        views = Views(self.views, partial(self._reach, position, deadline))
        return cast("A", await answer.function(query, views))

    async def _own_position(self, receipts: Iterable[Receipt], deadline: float) -> int:
        """Return the position in the own log that stands for all receipts, once there is one."""
        position = 0
        for receipt in receipts:
            if receipt.service == self.name:
                await self._check_reached(receipt)
                position = max(position, receipt.position)
            elif receipt.service in self.declaration.sources:
                await self._arrivals.reach(inbox_name(receipt.service), receipt.position, self._until(deadline))
                position = max(position, await self.log.head())
            else:
                raise InvalidReceipt(
                    f"{receipt} is a receipt of {receipt.service}, and {self.name} hears nothing from it. Pass receipts of "
                    f"{', '.join([self.name, *self.declaration.sources])}."
                )
        return position

    async def _check_reached(self, receipt: Receipt) -> None:
        if receipt.position > self.log.known_head and receipt.position > await self.log.head():
            raise FutureReceipt(
                f"{receipt} is beyond the log of {self.name}, which ends at {self.log.known_head}. The receipt is from "
                "another installation, or the log was replaced; ask without it."
            )

    async def _reach(self, position: int, deadline: float, table: str) -> None:
        follower = self._filled_by.get(table)
        if follower is not None and position:
            await self._arrivals.reach(follower, position, self._until(deadline))

    def _until(self, deadline: float) -> float:
        return max(0.0, deadline - self.clock.monotonic())

    async def published(self, after: int, limit: int) -> Delivery:
        """Return what the service has published after a position in its log.

        The position that is returned is less than ``after`` if the log does not reach that far.

        Raises:
            NotRunning: the service has ended.
            LogUnavailable: the log failed.
        """
        self._check_running()
        return await self.outbox.page(after, limit)

    def _check_running(self) -> None:
        if self._ended:
            raise NotRunning(f"{self.name} has ended. Start it again, or send to another process.")

    # Followers.

    def follow(self) -> None:
        """Start following: views, projections, relay and inboxes, as many of them as are not followed elsewhere."""
        self._following = asyncio.create_task(self.roster.run(), name=f"{self.name} follows")

    def _targets(self) -> dict[str, Callable[[], Target]]:
        declaration, log, store, clock = self.declaration, self.log, self.views, self.clock
        targets: dict[str, Callable[[], Target]] = {}
        for view in declaration.folded:
            targets[table_name(view)] = partial(ViewTarget, view, log, store, clock)
        for projection in declaration.projections:
            targets[projection.name] = partial(ProjectionTarget, projection, log, store, clock)
        if self._transport is not None:
            if declaration.publishes and self._transport.pushes:
                targets[RelayTarget.name] = partial(RelayTarget, self.outbox, store, self._transport)
            for source, events in declaration.sources.items():
                targets[inbox_name(source)] = partial(
                    InboxTarget, self.name, source, events, log, store, self._transport, clock
                )
        return targets

    async def progress(self) -> list[Progress]:
        """Return how far each follower is, whichever process follows."""
        return await self.views.progress()

    def failing(self) -> dict[str, str]:
        """Return the followers that are in trouble now, with the reason."""
        return self.roster.failing()

    async def close(self) -> None:
        """Refuse new work, finish what was accepted, and let followers end between two batches."""
        self._ended = True
        if self._sending:
            self._drained.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAINING_SECONDS):
                    await self._drained.wait()
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await self._handler.states.close()


@asynccontextmanager
async def start(
    declaration: Declaration, settings: Settings, *, transport: Transport | None = None, clock: Clock | None = None
) -> AsyncIterator[Running]:
    """Run a service until the block ends.

    Raises:
        SettingsError: a URL is wrong or its driver is missing.
        LogUnavailable: a database cannot be opened.
        DeclarationError: a view's table has other columns than the view.
    """
    async with opened(declaration, settings, transport=transport, clock=clock) as running:
        running.follow()
        yield running


@asynccontextmanager
async def opened(
    declaration: Declaration, settings: Settings, *, transport: Transport | None = None, clock: Clock | None = None
) -> AsyncIterator[Running]:
    """Open a service's databases and let it take commands; its followers start with `Running.follow`.

    Raises:
        SettingsError: a URL is wrong or its driver is missing.
        LogUnavailable: a database cannot be opened.
        DeclarationError: a view's table has other columns than the view.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        views = open_views(settings.views, clock)
        stack.push_async_callback(views.close)
        await views.open()
        for view in declaration.views:
            await views.create(layout(view))
        log = await Log.open(open_store(settings.log, clock), clock)
        stack.push_async_callback(log.close)
        if transport is None and settings.transport:
            transport = open_transport(settings.transport, clock, declaration.sources)
            stack.push_async_callback(transport.close)
        running = Running(declaration, settings, log, views, transport, clock)
        stack.push_async_callback(running.close)
        _logger.info("%s runs; its log is at position %d", running.name, log.known_head)
        yield running
