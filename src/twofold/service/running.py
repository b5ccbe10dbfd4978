"""A service that runs: its log, its followers, and what one can do with it: `send`, `ask`, `watch`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from twofold.clock import Clock
from twofold.commands import CommandHandler
from twofold.declaration import Declaration, filled_by, layouts
from twofold.errors import NotRunning
from twofold.followers import Coordinator, PositionWaiter, Progress, checkpoints, claiming, shadow
from twofold.log import Log
from twofold.messages import Command, Metadata, Query, Receipt
from twofold.messaging import Delivery, Outbox, Transport, inbox_name
from twofold.processes import DelayedCommands, Requests, addressee, check_id
from twofold.queries import After, EncodedAnswer, QueryFailure, QueryHandler, Subscription, Update, ViewVersions
from twofold.service.background import Background
from twofold.service.closing import InFlight
from twofold.service.handlers import batch_handlers, carrying_out_handlers
from twofold.service.roles import Role, check_role
from twofold.service.settings import Settings
from twofold.service.takeover import Takeover
from twofold.views import ViewDatabase, rebuilding

A = TypeVar("A")


class Running:
    """A started service: `send` commands to it, `ask` it queries, `watch` their answers.

    All that it does for others raises `NotRunning` once it has ended, and `WrongRole` if this process leaves that to another.
    """

    def __init__(
        self, declaration: Declaration, settings: Settings, log: Log, views: ViewDatabase, transport: Transport | None,
        clock: Clock, roles: frozenset[Role], resources: Mapping[type, Any],
    ) -> None:  # fmt: skip
        self.declaration = declaration
        self.name = declaration.name
        self.roles = roles
        self.settings = settings
        self.log = log
        self.views = views
        self.clock = clock
        self.limits = limits = settings.limits
        self.outbox = Outbox(declaration.name, declaration.tells, log, addressee)
        self.telemetry = telemetry = log.telemetry
        self._commands = CommandHandler(log, declaration.deciders, clock, limits.commands)
        self._positions = PositionWaiter(partial(checkpoints.position, views), limits.queries)
        self.view_versions = ViewVersions(layouts(declaration), log, views, self._positions, clock, limits.queries)
        self._queries = QueryHandler(
            self.name, declaration.answers, {source: inbox_name(source) for source in declaration.sources}, log, views,
            self.view_versions, self._positions, clock, limits,
        )  # fmt: skip
        handlers = batch_handlers(
            declaration, roles, self._commands, log, views, self.outbox, transport, clock, limits, resources
        )
        report = self._positions.advance
        self.coordinator = Coordinator(views, handlers, clock, self.name, report, limits.followers, telemetry)
        takeover = Takeover(declaration, self.view_versions, self.coordinator, log, views, clock, limits.followers)
        carrying_out = carrying_out_handlers(declaration, self._commands, log, views, clock, limits.handlers)
        self.background = Background(declaration, roles, log, self.coordinator, takeover, views, carrying_out, clock)
        self._requests = Requests(self.name, declaration.sent, log, clock)
        known = [*declaration.commands.values(), *declaration.sent]
        self._delayed = DelayedCommands(self.name, known, log, clock)
        self._sending = InFlight(limits.service.draining_seconds)
        self._ended = False

    async def send(
        self, command: Command, *, id: str = "", at: datetime | None = None, metadata: Metadata | None = None
    ) -> Receipt:
        """Have a command decided, and return once its events are durable.

        A non-empty ``id`` makes it safe to send the command again: it takes effect once, and the receipt is the first one.

        With ``at``, it is recorded now, and decided when it is due; until then `cancel` takes it back by its id.

        A command of another service is on its way there once that is durable, which the receipt says; `request` waits for
        what becomes of it.

        Raises:
            Rejected: the decision refused it.
            TooManyConflicts: others changed its states each time it was decided.
            IdReused: the id was that of another command, or of this one at another time.
            InvalidMessage: it does not fit its type, or names what is no identity; ``at`` has no zone, or the id is none.
            UnknownMessage: nothing decides on it here.
            UnrecordableEvent, TypeError: the decision is wrong; the text says how.
            LogUnavailable: the log failed.
        """
        self.check_role("commands")
        check_id(id)
        with self._sending:
            if at is not None:
                delayed = await self._delayed.send(command, at, id or self.clock.new_id(), metadata)
                return Receipt(self.name, delayed.last)
            if self._is_for_others(command):
                appended = await self._requests.send(command, id or self.clock.new_id(), metadata)
                return Receipt(self.name, appended.last)
            return Receipt(self.name, await self._commands.handle(command, id=id, metadata=metadata))

    async def request(
        self, command: Command, *, timeout_seconds: float, id: str = "", metadata: Metadata | None = None
    ) -> Receipt:
        """Have a command decided by the service that it is for, and return that one's receipt once it is accepted.

        It goes through the own log as with `send`, so it is decided even if nobody waits any more. An own command is just
        decided. With the same ``id`` the same request has the same outcome, and takes effect once.

        Raises:
            Rejected: it was refused: by the class that the command declares in ``rejections``, if there is one of the name.
            RequestTimeout: nothing is known of it yet, and it may still be decided; the text says how to ask again.
            NotRunning: the service ends meanwhile.
            InvalidMessage, IdReused, UnknownMessage, LogUnavailable: as `send` does.
        """
        if not self._is_for_others(command):
            return await self.send(command, id=id, metadata=metadata)
        self.check_role("commands")
        check_id(id)
        return await self._requests.request(command, id or self.clock.new_id(), metadata, timeout_seconds)

    async def cancel(self, id: str) -> bool:
        """Take back a command that was sent with ``at`` under an id, and say whether it was still to be decided.

        Where it comes due at the same moment, the order of the log decides.

        Raises:
            LogUnavailable: the log failed.
        """
        self.check_role("commands")
        with self._sending:
            return await self._delayed.cancel(id)

    def _is_for_others(self, command: Command) -> bool:
        return type(command).message_service not in ("", self.name)

    async def ask(self, query: Query[A], *, after: After = (), timeout_seconds: float | None = None) -> A:
        """Answer a query, from views that have seen what the receipts stand for: of this service, and of those that it hears.

        That is waited for no longer than ``timeout_seconds``, or as long as the limits have patience.

        Raises:
            ReceiptTimeout: the views did not get there in time.
            ViewNotReady: a view is new, and is not filled in time.
            FutureReceipt: the log has not reached the receipt's position.
            InvalidReceipt: it is of a service that this one does not hear.
            UnknownMessage: nothing answers the query here.
            LogUnavailable: the log or the views' database cannot be used now.
        """
        self.check_role("queries")
        return await self._queries.ask(query, after, timeout_seconds)

    async def answered(
        self, query: Query[Any], *, after: After = (), timeout_seconds: float | None = None
    ) -> EncodedAnswer:
        """Answer a query like `ask`, as JSON; what takes long to find is cached until what it was read from has changed.

        Raises:
            InvalidMessage: the query has something that it could not be received with as JSON, such as NaN.
            ReceiptTimeout, ViewNotReady, FutureReceipt, InvalidReceipt, UnknownMessage, LogUnavailable: as `ask` does.
        """
        self.check_role("queries")
        return await self._queries.answered(query, after, timeout_seconds)

    async def watch(
        self, query: Query[A], *, after: After = (), since: str = "", timeout_seconds: float | None = None
    ) -> AsyncGenerator[Update[A], None]:
        """Answer a query, and again whenever the answer has changed, for as long as one goes on asking.

        The first answer is that of `ask`. ``since`` the id of an earlier update there is a first answer only once it is
        another one, from views that are at least where they were then; receipts are waited for as `ask` does::

            async for update in bank.watch(BalanceOf(account="ann")):
                print(update.answer)

        All who watch a query in one process are told the same answers in the same order, each the latest when it is found:
        where changes come faster than they can be told, some are told together. A subscriber that falls behind the others
        goes on with the newest answer, whose ``skipped`` says how many it has not been told.

        Raises:
            ReceiptTimeout, ViewNotReady, FutureReceipt, InvalidReceipt, UnknownMessage: as `ask` does.
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
        self, query: Query[A], *, after: After = (), since: str = "", timeout_seconds: float | None = None
    ) -> Subscription[A]:
        """Return a place among those who `watch` a query, once there is a first answer. Raises as that does."""
        self.check_role("queries")
        return await self._queries.subscribe(query, after, since, timeout_seconds)

    async def published(self, after: int, limit: int) -> Delivery:
        """Return what the service has published after a position in its log.

        The position that is returned is less than ``after`` if the log does not reach that far.

        Raises:
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

    def follow(self) -> None:
        """Start following what this process's roles have to follow, as much of it as is not followed elsewhere."""
        self.background.follow()

    async def rebuild(self, follower: str) -> None:
        """Have a view filled anew from the first event, while it answers as it is, and return once the new rows do.

        Raises:
            NotFound: there is no such follower of a view; the text lists those that there are.
            NotNow: it was given up; the log says why.
            DeclarationError: a table has other columns than its view.
        """
        await rebuilding.rebuild(self.views, follower, filled_by(self.declaration, follower), self.clock)

    async def progress(self) -> list[Progress]:
        """Return how far each follower is, whichever process follows."""
        return await checkpoints.progress(self.views)

    async def declared(self) -> set[str]:
        """Return the followers that a process is there for now, whether it follows them or stands by."""
        return await claiming.declared(self.views)

    def failing(self) -> dict[str, str]:
        """Return the followers that fail now, with the reason; a rebuilding that does is no harm to anybody."""
        return {name: reason for name, reason in self.coordinator.failing().items() if not shadow.shadowed(name)}

    async def close(self) -> None:
        """Refuse new work, finish what was accepted, and let followers end between two batches."""
        self._ended = True
        await self._requests.close()
        await self._queries.close()
        await self._sending.finished()
        await self.background.close()
        await self._commands.states.close()
