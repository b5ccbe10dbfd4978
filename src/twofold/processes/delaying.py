"""Delayed commands: sent at a time that is said when they are given, and taken back by their ids until then."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from hashlib import blake2b

import msgspec

from twofold.clock import Clock, microseconds
from twofold.errors import IdReused, InvalidMessage, UnknownMessage
from twofold.log import Appended, Guard, Log
from twofold.messages import Command, Metadata, content_digest, current, encode, identity_text
from twofold.processes.recording import record
from twofold.processes.records import TimerCancelled, TimerSet
from twofold.processes.sending import sent
from twofold.processes.timers import about, check_due

_DIGEST_BYTES = 16
_NOTHING = msgspec.Raw(b"null")


class DelayedCommands:
    """Records commands that are to be sent at a time, and takes them back."""

    def __init__(self, service: str, known: Iterable[type[Command]], log: Log, clock: Clock) -> None:
        self._service = service
        self._known = frozenset(known)
        self._log = log
        self._clock = clock

    async def send(self, command: Command, due: datetime, id: str, metadata: Metadata | None) -> Appended:
        """Record that a command is to be sent at a time, once for an id, and return where.

        Raises:
            InvalidMessage: it does not fit its type, or names what is no identity; its id is none; or the time has no zone, or
                will not come.
            UnknownMessage: nothing decides on it here, and the service does not say that it sends it to another one.
            IdReused: the id was that of another command, or of this one at another time.
            LogUnavailable: the log failed.
        """
        kind = type(command)
        if kind not in self._known:
            raise UnknownMessage(
                f"Nothing decides on {kind.__name__} here, so it is of no use to send it later. Add its decision to "
                f"{self._service}; or the command to sends=[…], if another service decides on it."
            )
        if due.tzinfo is None:
            raise InvalidMessage(
                f"{kind.__name__} is to be sent at {due}, which has no zone. Write datetime(…, tzinfo=UTC) or another zone."
            )
        due_us = microseconds(due)
        try:
            check_due(due_us, command)
        except ValueError as error:
            raise InvalidMessage(str(error)) from error
        timer = TimerSet(
            id=identity_text(delayed_timer(id)), due_us=due_us, kind=kind.message_name, data=_NOTHING,
            command=sent(command, id, self._service),
        )  # fmt: skip
        said = b"%b %d" % (content_digest(command), due_us)
        circumstances = (metadata or current.get()).caused(id, id)
        outcome = await record(
            self._log, [timer], id, self._clock, encode(circumstances),
            digest=blake2b(said, digest_size=_DIGEST_BYTES).digest(),
        )  # fmt: skip
        if not isinstance(outcome, Appended):
            raise IdReused(
                f"The id {id!r} was that of another command, or of this one at another time, and this one was not recorded. "
                "To have it sent at another time, cancel it, and send it under an id of its own."
            )
        return outcome

    async def cancel(self, id: str) -> bool:
        """Take back a command that is still to be sent, and say whether it was: the order of the log decides.

        Raises:
            LogUnavailable: the log failed.
        """
        timer = delayed_timer(id)
        last = await self._log.read(about(timer), limit=1, backwards=True)
        if not last or last[0].type != TimerSet.message_name:
            return False
        metadata = encode(current.get().caused(last[0].id))
        guard = Guard(about(timer), after=last[0].position)
        outcome = await record(self._log, [TimerCancelled(id=timer)], "", self._clock, metadata, guard)
        return isinstance(outcome, Appended)


def delayed_timer(id: str) -> str:
    """Return the id of the timer by which a command is delayed: no process has one of that name.

    >>> delayed_timer("reminder-7")
    'command:reminder-7'
    """
    return f"command:{id}"
