"""Contracts compared: which changes break somebody who goes by the contract of before."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from twofold.contracts.document import contract
from twofold.contracts.fitting import MISSING, THERE, Misfit, misfits
from twofold.contracts.reading import Contract, Described, contract_in
from twofold.contracts.stored import remarks_on_stored
from twofold.declaration import Declaration


class Break(msgspec.Struct, frozen=True):
    """A change that somebody cannot take: where it is, what it is, whom it breaks, and what to do instead."""

    kind: Literal["consumer", "sender", "stored event"]
    where: str
    what: str
    whom: str
    instead: str

    def __str__(self) -> str:
        """Return all of it as one line."""
        return f"{self.where}: {self.what}. That breaks {self.whom}. {self.instead}"


def breaks(
    old: Mapping[str, Any], declarations: Iterable[Declaration], services: Collection[str] | None = None
) -> list[Break]:
    """Return what has changed since a contract of before in a way that breaks a consumer, a sender or a stored event.

    What is compatible is not mentioned: new events, new fields of them, commands that take more. In a test::

        assert breaks(json.loads(Path("contracts.json").read_text()), [bank.declaration]) == []

    Args:
        old: a document that `contract` has made, of the code of before.
        declarations: the services as they are now.
        services: those that are compared; all of the document unless said.

    Raises:
        InvalidMessage: the document is none.
    """
    declared = {each.name: each for each in declarations}
    before, now = contract_in(old), contract_in(contract(declared.values()))
    found: list[Break] = []
    for service in before.services if services is None else services:
        if service in declared:
            found += _Changes(service, before, now).found()
            found += _stored(before, declared[service])
        else:
            found.append(_gone(service))
    return found


def _gone(service: str) -> Break:
    whom = "whoever goes by what it publishes and accepts"
    return Break("consumer", service, "is not among the services any more", whom, "Keep it, or compare others alone.")


def _stored(before: Contract, declaration: Declaration) -> Iterator[Break]:
    for name, remark in remarks_on_stored(before, declaration):
        whom = f"what {declaration.name} has in its log"
        yield Break("stored event", f"{declaration.name}, stored {name}", remark.what, whom, remark.advice)


class _Changes:
    """What has changed in the contract of one service."""

    def __init__(self, service: str, before: Contract, now: Contract) -> None:
        self._service = service
        self._before = before
        self._now = now

    def found(self) -> list[Break]:
        return [*self._of_events(), *self._of_commands()]

    # Events that are published.

    def _of_events(self) -> Iterator[Break]:
        events, published = self._before.published(self._service), self._now.published(self._service)
        for name, event in events.items():
            if name not in published:
                near = self._renamed(event, {new: it for new, it in published.items() if new not in events}, "Event")
                yield self._for_consumers(name, "", "is not published any more", f"{near}Publish it {_UNTIL_UNUSED}")
                continue
            for flaw in self._misfits(published[name], self._now, event, self._before):
                what = f"is {flaw.written} now, and was {flaw.read}"
                yield self._for_consumers(name, flaw.path, what, _instead_for_consumers(flaw))
            if published[name].tags[: len(event.tags)] != event.tags:
                what = f"its key is {_key(published[name])} now, and was {_key(event)}"
                instead = "Order holds for each key: leave the fields with tags as they were, or publish another event."
                yield self._for_consumers(name, "", what, instead)

    def _for_consumers(self, event: str, path: str, what: str, instead: str) -> Break:
        known = self._before.hearers(self._service, event)
        whom = f"those who subscribe: {', '.join(known)}" if known else "whoever subscribes to it"
        return Break("consumer", _place(f"{self._service} publishes {event}", path), what, whom, instead)

    # Commands that are decided on.

    def _of_commands(self) -> Iterator[Break]:
        for sender in self._before.senders(self._service):
            if sender not in self._now.senders(self._service):
                what, instead = (
                    f"takes no commands from {sender} any more",
                    f"takes_commands_from=[{sender!r}] lets it.",
                )
                yield Break("sender", self._service, what, sender, instead)
        commands, taken = self._before.commands(self._service), self._now.commands(self._service)
        for name, command in commands.items():
            if name not in taken:
                near = self._renamed(command, {new: it for new, it in taken.items() if new not in commands}, "Command")
                yield self._for_senders(name, "", "is not decided on any more", f"{near}Decide on it {_UNTIL_UNSENT}")
                continue
            for flaw in self._misfits(command, self._before, taken[name], self._now):
                what = f"has to be {flaw.read} now, and was {flaw.written}"
                yield self._for_senders(name, flaw.path, what, _instead_for_senders(flaw))
            for rejection in [each for each in command.rejections if each not in taken[name].rejections]:
                what = f"is not rejected as {rejection} any more"
                yield self._for_senders(name, "", what, f"Senders go by that name: keep it {_UNTIL_UNSENT}")

    def _for_senders(self, command: str, path: str, what: str, instead: str) -> Break:
        known = [*self._before.senders(self._service), "whoever sends it over HTTP"]
        where = _place(f"{self._service} decides on {command}", path)
        return Break("sender", where, what, " and ".join(known), instead)

    # Both.

    def _misfits(self, written: Described, by: Contract, read: Described, reader: Contract) -> list[Misfit]:
        found = misfits(written.payload, read.payload, by.components.schemas, reader.components.schemas)
        return [flaw for flaw in found if not flaw.is_lost]

    def _renamed(self, gone: Described, new: Mapping[str, Described], base: str) -> str:
        """Say how what has another name now keeps the one that it had."""
        alike = [name for name, each in new.items() if not self._misfits(each, self._now, gone, self._before)]
        near = difflib.get_close_matches(gone.name, alike, 1, cutoff=0)
        return f'If its class is now {near[0]}: class {near[0]}({base}, name="{gone.name}"). ' if near else ""


_UNTIL_UNUSED = "until nobody subscribes to it any more."
_UNTIL_UNSENT = "until nobody sends it any more."


def _place(where: str, path: str) -> str:
    return f"{where}, {path}" if path else where


def _key(event: Described) -> str:
    return " or ".join(f"{tag} in {field}" for field, tag in event.tags) or "none"


def _instead_for_consumers(flaw: Misfit) -> str:
    if flaw.written == MISSING:
        return f"Publish the field {_UNTIL_UNUSED}"
    return f"Publish the new shape in a field or an event of its own, beside this one {_UNTIL_UNUSED}"


def _instead_for_senders(flaw: Misfit) -> str:
    if flaw.read == THERE:
        return "Give the field a default."
    if flaw.written == THERE:
        return f"Keep the field, with a default, {_UNTIL_UNSENT}"
    return f"Take what was taken before, too, {_UNTIL_UNSENT}"
