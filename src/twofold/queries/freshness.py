"""How fresh an answer has to be, made of the receipts that a question comes with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec

from twofold.clock import Clock
from twofold.errors import FutureReceipt, InvalidReceipt
from twofold.followers import PositionWaiter
from twofold.limits import QueryLimits
from twofold.log import Log
from twofold.messages import Receipt
from twofold.queries.updates import ResumeToken, parse_resume_token

After: TypeAlias = Receipt | Iterable[Receipt]
"""The receipts that a query comes with: one, or several."""


class Freshness(msgspec.Struct, frozen=True):
    """What a reader waits for: that what is read has all up to a position in the own log, and until when it waits for that.

    ``deadline`` is in seconds of `Clock.monotonic`.
    """

    position: int
    deadline: float

    def seconds_left(self, clock: Clock) -> float:
        """Return for how long there is still time to wait."""
        return max(0.0, self.deadline - clock.monotonic())


AT_ONCE = Freshness(0, 0.0)
"""Whatever there is now: nothing is waited for."""


class Receipts:
    """Receipts, and what each stands for in a service's own log.

    ``inboxes`` are the followers that record what other services publish, by these services' names.
    """

    def __init__(
        self, service: str, inboxes: Mapping[str, str], log: Log, positions: PositionWaiter, clock: Clock,
        limits: QueryLimits,
    ) -> None:  # fmt: skip
        self._service = service
        self._inboxes = inboxes
        self._log = log
        self._positions = positions
        self._clock = clock
        self._patience_seconds = limits.patience_seconds

    async def freshness(self, after: After, timeout_seconds: float | None) -> Freshness:
        """Return what a question waits for that is asked after some receipts, once each has a position in the own log.

        Raises:
            ReceiptTimeout: what the receipt of another service stands for was not recorded here in time.
            FutureReceipt: the log has not reached the receipt's position.
            InvalidReceipt: it is none, or of a service that this one does not hear.
        """
        deadline = self._clock.monotonic() + (self._patience_seconds if timeout_seconds is None else timeout_seconds)
        position = 0
        for receipt in (after,) if isinstance(after, Receipt | str) else after:
            position = max(position, await self._own_position(receipt, deadline))
        return Freshness(position, deadline)

    async def resumption(self, since: str) -> ResumeToken:
        """Return where to go on after the update with an id; '' is to begin.

        Raises:
            FutureReceipt: the log has not reached where the update was.
            InvalidReceipt: it is no update's id, or that of another service's.
        """
        if not since:
            return ResumeToken(Receipt(self._service, 0), "")
        token = parse_resume_token(since)
        if token.receipt.service != self._service:
            raise InvalidReceipt(
                f"{since!r} is the id of an update of {token.receipt.service}, and this is {self._service}."
            )
        await self._check_reached(token.receipt)
        return token

    async def _own_position(self, receipt: Receipt, deadline: float) -> int:
        if not isinstance(receipt, Receipt):
            raise InvalidReceipt(
                f"{receipt!r} is no receipt. Pass what `send` has returned; of its text, `twofold.messages.parse_receipts` "
                "makes receipts."
            )
        if receipt.service == self._service:
            await self._check_reached(receipt)
            return receipt.position
        if receipt.service not in self._inboxes:
            raise InvalidReceipt(
                f"{receipt} is a receipt of {receipt.service}, and {self._service} hears nothing from it. Pass receipts of "
                f"{', '.join([self._service, *self._inboxes])}."
            )
        seconds = max(0.0, deadline - self._clock.monotonic())
        await self._positions.reach(self._inboxes[receipt.service], receipt.position, seconds)
        return await self._log.head()

    async def _check_reached(self, receipt: Receipt) -> None:
        if receipt.position > self._log.known_head and receipt.position > await self._log.head():
            raise FutureReceipt(
                f"{receipt} is beyond the log of {self._service}, which ends at {self._log.known_head}. The receipt is from "
                "another installation, or the log was replaced; ask without it."
            )
