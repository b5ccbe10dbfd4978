"""Faults planted in what carries out commands: simulations have to find every one of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, MutableMapping, Sequence
from itertools import count
from typing import Any

import pytest

from twofold.commands import CommandHandler
from twofold.errors import Rejected
from twofold.followers import Block, KeyedHandler
from twofold.log import Guard, Log, RecordedEvent, Ticket
from twofold.messaging import InboxHandler
from twofold.processes import CommandSent, CommandSettled, SentCommandHandler, carrying_out, requests
from twofold.processes.recording import record

Plant = Callable[[pytest.MonkeyPatch], None]


def decided_each_time(patch: pytest.MonkeyPatch) -> None:
    """What is followed once more is decided once more."""
    numbers = count()
    patch.setattr(carrying_out, "carried_id", lambda sender, _: f"twofold/command/{sender}/{next(numbers)}")


def refused_on_what_may_have_passed(patch: pytest.MonkeyPatch) -> None:
    """An outcome is appended whatever has come since its states were read."""
    submit = Log.submit_recorded

    def submit_recorded(self: Log, recorded: Any, guards: Sequence[Guard], id: str, digest: bytes) -> Ticket:
        return submit(self, recorded, () if id.startswith("twofold/command/") else guards, id, digest)

    patch.setattr(Log, "submit_recorded", submit_recorded)


def refusal_not_recorded(patch: pytest.MonkeyPatch) -> None:
    """Who has sent a command is not told that it was refused."""
    settle = CommandHandler.settle

    async def only_accepted(self: CommandHandler, *given: Any) -> None:
        settlement = given[-1]

        def told(refusal: Rejected | None) -> Any:
            if refusal is not None:
                raise refusal
            return settlement(refusal)

        await settle(self, *(*given[:-1], told))

    patch.setattr(CommandHandler, "settle", only_accepted)


def passed_by_before_it_is_done(patch: pytest.MonkeyPatch) -> None:
    """The checkpoint is stored before the commands are carried out."""
    apply = KeyedHandler.apply

    async def too_early(
        self: KeyedHandler, events: Sequence[RecordedEvent], position: int, blocked: MutableMapping[str, Block]
    ) -> None:
        before = self._position
        await self._save(position)
        self._position = before
        await apply(self, events, position, blocked)

    patch.setattr(KeyedHandler, "apply", too_early)


def no_order(patch: pytest.MonkeyPatch) -> None:
    """Commands about one item are decided at once."""

    def keys(self: SentCommandHandler, event: RecordedEvent) -> Collection[str]:
        return (f"{event.position}",) if "stock" in event.data.decode() else ()

    patch.setattr(SentCommandHandler, "keys", keys)


def outcomes_are_not_heard(patch: pytest.MonkeyPatch) -> None:
    """The inbox leaves out what became of commands."""
    kind_of = InboxHandler._kind_of

    def without(self: InboxHandler, event: Any) -> Any:
        return None if event.type == CommandSettled.message_name else kind_of(self, event)

    patch.setattr(InboxHandler, "_kind_of", without)


def sent_each_time(patch: pytest.MonkeyPatch) -> None:
    """The same command under the same id is recorded again."""

    def recorded(log: Log, records: Any, id: str, *given: Any, **named: Any) -> Ticket:
        return record(log, records, "" if isinstance(records[0], CommandSent) else id, *given, **named)

    patch.setattr(requests, "record", recorded)


PLANTED: list[Plant] = [
    decided_each_time,
    refused_on_what_may_have_passed,
    refusal_not_recorded,
    passed_by_before_it_is_done,
    no_order,
    outcomes_are_not_heard,
    sent_each_time,
]
