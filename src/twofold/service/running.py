"""A service that runs: its log, its followers, and what one can do with it: `send`, `ask`, `watch`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, cast

from twofold.clock import Clock
from twofold.commands import CommandHandler
from twofold.compatibility.comparing import tell_unread
from twofold.declaration import Declaration, filled_by
from twofold.errors import FutureReceipt, InvalidReceipt, NotRunning
from twofold.followers import (
    BatchHandler,
    Coordinator,
    PositionWaiter,
    Progress,
    StandingsWatcher,
    checkpoints,
    claiming,
)
from twofold.followers.shadow import shadowed
from twofold.log import Log
from twofold.messages import Command, Metadata, Query, Receipt
from twofold.messaging import Deliveries, Delivery, InboxHandler, Outbox, RelayHandler, Transport, inbox_name
from twofold.queries.answers import AnswerCache, Answers, EncodedAnswer, Result
from twofold.queries.live import LiveQueries, QueryFailure, ResumeToken, Subscription, Update, parse_resume_token
from twofold.service.roles import Role, check_role
from twofold.service.settings import Settings
from twofold.service.view_versions import ViewVersions, view_handlers
from twofold.views import ViewStore
from twofold.views.rebuilding import rebuild

A = TypeVar("A")

_COMPARING_SECONDS = 0.5
_NEEDS = {"commands": {"log"}, "queries": {"views"}}

_logger = logging.getLogger("twofold.service")


class Running:
    """A started service: `send` commands to it, `ask` it queries."""

    def __init__(
        self, declaration: Declaration, settings: Settings, log: Log, views: ViewStore, transport: Transport | None,
        clock: Clock, roles: frozenset[Role],
    ) -> None:  # fmt: skip
        self.declaration = declaration
        self.roles = roles
        self.settings = settings
        self.log = log
        self.views = views
        self.clock = clock
        self.limits = limits = settings.limits
        self.outbox = Outbox(declaration.name, declaration.publishes, log)
        self.telemetry = telemetry = log.telemetry
        self._deliveries = Deliveries(transport, telemetry) if transport else None
        self._handler = CommandHandler(log, declaration.deciders, clock, limits.commands)
        self._answers = Answers(declaration.answers, declaration.followers, views, telemetry)
        self._kept = AnswerCache(self._answers, views, clock, limits.queries)
        self._positions = PositionWaiter(partial(checkpoints.position, views), limits.queries)
        watcher = StandingsWatcher(views, self._positions, clock, limits.queries)
        self._live = LiveQueries(declaration.name, self._answers, self._find_now, watcher, clock, limits.live)
        self.view_versions = ViewVersions(declaration, log, views, self._positions, clock, limits)
        self.coordinator = Coordinator(
            views, self._handlers(), clock, self.name, self._positions.advance, limits.followers, telemetry
        )
        self._following: asyncio.Task[None] | None = None
        self._tending: asyncio.Task[None] | None = None
        self._comparing: asyncio.Task[None] | None = None
        self._ended = False
        self._sending = 0
        self._drained = asyncio.Event()

    @property
    def name(self) -> str:
        """The service's name."""
        return self.declaration.name

    @property
    def needs(self) -> frozenset[str]:
        """What this process cannot do without: the log, the views or both. Questions without receipts need no log."""
        found = {role: _NEEDS.get(role, {"log", "views"}) for role in self.roles}
        return frozenset().union(*found.values())

    async def send(self, command: Command, *, id: str = "", metadata: Metadata | None = None) -> Receipt:
        """Have a command decided, and return once its events are durable.

        A non-empty ``id`` makes it safe to send the command again: it takes effect once, and the receipt is the first one.

        Raises:
            Rejected: the decision refused it.
            TooManyConflicts: others changed its states each time it was decided.
            UnknownMessage: nothing decides on it here.
            LogUnavailable: the log failed.
            NotRunning: the service has ended.
            WrongRole: this process takes no commands.
        """
        self.check_role("commands")
        self._sending += 1
        try:
            return Receipt(self.name, await self._handler.handle(command, id=id, metadata=metadata))
        finally:
            self._sending -= 1
            if not self._sending:
                self._drained.set()

    async def ask(
        self, query: Query[A], *, after: Receipt | Iterable[Receipt] = (), timeout_seconds: float | None = None
    ) -> A:
        """Answer a query, from views that have seen at least what the receipts stand for.

        A receipt of another service, from which this one hears, is waited for too. All of that takes no longer than
        ``timeout_seconds``, or as long as the limits have patience.

        Raises:
            ReceiptTimeout: the views did not get there in time.
            ViewNotReady: a view is new, and is not filled in time.
            FutureReceipt: the log has not reached the receipt's position.
            InvalidReceipt: it is of a service that this one does not hear.
            UnknownMessage: nothing answers the query here.
            NotRunning: the service has ended.
            WrongRole: this process answers no queries.
        """
        self.check_role("queries")
        self._answers.check(query)
        deadline = self._deadline(timeout_seconds)
        position = await self._own_position(after, deadline)
        return cast(
            "A", (await self._answers.find(query, partial(self.view_versions.reading, position, deadline))).value
        )

    async def answered(
        self, query: Query[Any], *, after: Receipt | Iterable[Receipt] = (), timeout_seconds: float | None = None
    ) -> EncodedAnswer:
        """Answer a query like `ask`, as JSON.

        An answer that takes long to find is kept for a while, and given again if nothing that it was read from has moved.

        Raises:
            InvalidMessage: the query has something that it could not be received with as JSON, such as NaN.
            ReceiptTimeout, FutureReceipt, InvalidReceipt, UnknownMessage, NotRunning, WrongRole: as `ask` does.
        """
        self.check_role("queries")
        self._answers.check(query)
        deadline = self._deadline(timeout_seconds)
        position = await self._own_position(after, deadline)
        find = partial(self._answers.find, query, partial(self.view_versions.reading, position, deadline))
        return await self._kept.answered(query, position, find)

    async def watch(
        self,
        query: Query[A],
        *,
        after: Receipt | Iterable[Receipt] = (),
        since: str = "",
        timeout_seconds: float | None = None,
    ) -> AsyncGenerator[Update[A], None]:
        """Answer a query, and again whenever the answer has changed, for as long as one goes on asking.

        The first answer is that of `ask`. ``since`` the id of an earlier update there is a first answer only once it is
        another one, from views that are at least where they were then; receipts are waited for as `ask` does::

            async for update in bank.watch(BalanceOf(account="ann")):
                print(update.answer)

        All who watch the same query in one process are told the same answers in the same order. Each is the latest when it
        is found: where changes come faster than they can be told, some are told together, to everybody. A subscriber that
        falls behind the others goes on with the newest answer, whose ``skipped`` says how many it has not been told.

        Raises:
            ReceiptTimeout, FutureReceipt, InvalidReceipt, UnknownMessage, WrongRole: as `ask` does.
            NotRunning: the service has ended, or ends.
            Exception: what the answer failed with.
        """
        with await self.subscribe(query, after=after, since=since, timeout_seconds=timeout_seconds) as subscription:
            while True:
                update = await subscription.next()
                if isinstance(update, QueryFailure):
                    raise update.error.with_traceback(None)
                yield update

    async def subscribe(
        self,
        query: Query[A],
        *,
        after: Receipt | Iterable[Receipt] = (),
        since: str = "",
        timeout_seconds: float | None = None,
    ) -> Subscription[A]:
        """Return a place among those who `watch` a query, once there is a first answer.

        Raises:
            ReceiptTimeout, FutureReceipt, InvalidReceipt, UnknownMessage, NotRunning, WrongRole: as `ask` does.
            Exception: what the answer failed with.
        """
        self.check_role("queries")
        self._answers.check(query)
        deadline = self._deadline(timeout_seconds)
        seen = parse_resume_token(since) if since else ResumeToken(Receipt(self.name, 0), "")
        if seen.receipt.service != self.name:
            raise InvalidReceipt(
                f"{since!r} is the id of an update of {seen.receipt.service}, and this is {self.name}."
            )
        await self._check_reached(seen.receipt)
        position = await self._own_position(after, deadline)
        reach = partial(self._reach, position, deadline)
        return await self._live.subscribe(query, max(position, seen.receipt.position), seen.digest, deadline, reach)

    async def _find_now(self, query: Query[Any]) -> Result:
        return await self._answers.find(query, partial(self.view_versions.reading, 0, 0.0))

    async def _own_position(self, after: Receipt | Iterable[Receipt], deadline: float) -> int:
        """Return the position in the own log that stands for all receipts, once there is one."""
        position = 0
        for receipt in (after,) if isinstance(after, Receipt) else after:
            if receipt.service == self.name:
                await self._check_reached(receipt)
                position = max(position, receipt.position)
            elif receipt.service in self.declaration.sources:
                await self._positions.reach(inbox_name(receipt.service), receipt.position, self._until(deadline))
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

    async def _reach(self, position: int, deadline: float, follower: str) -> None:
        if position:
            await self._positions.reach(follower, position, self._until(deadline))

    def _deadline(self, timeout_seconds: float | None) -> float:
        patience_seconds = self.limits.queries.patience_seconds if timeout_seconds is None else timeout_seconds
        return self.clock.monotonic() + patience_seconds

    def _until(self, deadline: float) -> float:
        return max(0.0, deadline - self.clock.monotonic())

    async def published(self, after: int, limit: int) -> Delivery:
        """Return what the service has published after a position in its log.

        The position that is returned is less than ``after`` if the log does not reach that far.

        Raises:
            NotRunning: the service has ended.
            WrongRole: this process serves no feed.
            LogUnavailable: the log failed.
        """
        self.check_role("relay")
        return await self.outbox.page(after, limit)

    def check_role(self, role: Role) -> None:
        """Check that this process has a role, and still runs.

        Raises:
            NotRunning: it has ended.
            WrongRole: it leaves that to others; the text says where to go.
        """
        if self._ended:
            raise NotRunning(f"{self.name} has ended. Start it again, or send to another process.")
        check_role(self.name, self.roles, role)

    def compare(self) -> None:
        """Start comparing the log with the code. Nobody waits for it, unless the service ends before."""
        if self.roles != {"queries"}:
            self._comparing = asyncio.create_task(tell_unread(self.declaration, self.log), name=f"{self.name} compares")

    # Followers.

    def follow(self) -> None:
        """Start following what this process's roles have to follow, as much of it as is not followed elsewhere."""
        if not self.roles & {"followers", "relay"}:
            return
        self._following = asyncio.create_task(self.coordinator.run(), name=f"{self.name} follows")
        if "followers" in self.roles:
            self._tending = asyncio.create_task(self.view_versions.tend(self.coordinator), name=f"{self.name} builds")

    async def rebuild(self, follower: str) -> None:
        """Have a view filled anew from the first event, while it answers as it is, and return once the new rows do.

        Raises:
            NotFound: there is no such follower of a view; the text lists those that there are.
            NotNow: it was given up; the log says why.
        """
        await rebuild(self.views, follower, filled_by(self.declaration, follower), self.clock)

    def _handlers(self) -> dict[str, Callable[[], BatchHandler]]:
        handlers: dict[str, Callable[[], BatchHandler]] = {}
        if "followers" in self.roles:
            handlers |= view_handlers(self.declaration, self.log, self.views, self.clock, self.limits.followers)
        if "relay" in self.roles and self._deliveries is not None:
            handlers |= self._carrying(self._deliveries)
        return handlers

    def _carrying(self, deliveries: Deliveries) -> dict[str, Callable[[], BatchHandler]]:
        log, store, clock = self.log, self.views, self.clock
        handlers: dict[str, Callable[[], BatchHandler]] = {}
        if self.declaration.publishes and deliveries.pushes:
            handlers[RelayHandler.name] = partial(RelayHandler, self.outbox, store, deliveries)
        for source, events in self.declaration.sources.items():
            handlers[inbox_name(source)] = partial(
                InboxHandler, self.name, source, events, log, store, deliveries, clock
            )
        return handlers

    async def progress(self) -> list[Progress]:
        """Return how far each follower is, whichever process follows."""
        return await checkpoints.progress(self.views)

    async def declared(self) -> set[str]:
        """Return the followers that a process is there for now, whether it follows them or stands by."""
        return await claiming.declared(self.views)

    def failing(self) -> dict[str, str]:
        """Return the followers that are in trouble now, with the reason; a rebuilding that is does no harm."""
        return {name: reason for name, reason in self.coordinator.failing().items() if not shadowed(name)}

    async def close(self) -> None:
        """Refuse new work, finish what was accepted, and let followers end between two batches."""
        self._ended = True
        await self._live.close()
        if self._comparing is not None:
            await asyncio.wait([self._comparing], timeout=_COMPARING_SECONDS)
        if self._sending:
            self._drained.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self.limits.service.draining_seconds):
                    await self._drained.wait()
        # All at once: closing has one bound, and one of them that takes long must not leave the others going.
        tasks = [*filter(None, (self._comparing, self._tending, self._following))]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._handler.states.close()
