"""Given what happened, when a command comes, then these events follow: tests of decisions and views in one line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pprint import pformat
from typing import Any, cast

from twofold.commands import Aggregate, Context, Decider, decider_of, deciders_of
from twofold.errors import Rejected
from twofold.fold import Fold, fold_of
from twofold.messages import Command, Event, Metadata, tag_fields
from twofold.messages.tags import identities
from twofold.views import Projection, Transaction, View, layout

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def given(subject: Any, *events: Event, at: datetime = NOON) -> Given:
    """Begin a test of an aggregate, a decision, a decider, a view or a projection, with what has happened before.

    ``at`` is the time that a decision finds in its `twofold.Context`.

    >>> from examples.bank import Account, Balance, Deposited, InsufficientFunds, Withdraw, Withdrawn
    >>> paid_in = Deposited(account="ann", amount=5)
    >>> given(Account, paid_in).when(Withdraw(account="ann", amount=5)).then(Withdrawn(account="ann", amount=5))
    >>> given(Account, paid_in).when(Withdraw(account="ann", amount=6)).rejects(InsufficientFunds)
    >>> given(Balance, paid_in).then(Balance(key="ann", amount=5))
    """
    return Given(subject, events, at)


class Given:
    """A subject and its history."""

    def __init__(self, subject: Any, events: tuple[Event, ...], at: datetime) -> None:
        self._subject = subject
        self._events = events
        self._at = at

    def when(self, command: Command) -> When:
        """Have the command decided on what was given."""
        decider = _decider(self._subject, command)
        for event in self._events:
            _check_known(event, decider)
        states = [_state(boundary.fold, boundary.key(command), self._events) for boundary in decider.boundaries]
        numbers = iter(range(1, 1_000_000))
        now_us = int(self._at.timestamp() * 1_000_000)
        context = Context(now_us, lambda: f"id-{next(numbers)}", Metadata())
        try:
            return When(command, tuple(decider.decide(command, context, *states)), None)
        except Rejected as rejection:
            return When(command, (), rejection)

    def then(self, *rows: View) -> None:
        """Check that a view has exactly these rows, in the order of their keys."""
        found = asyncio.run(_rows(self._subject, self._events))
        expected = sorted(rows, key=_order)
        if found != expected:
            raise AssertionError(_comparison("The view has other rows.", expected, found))


class When:
    """What a decision has made of a command."""

    def __init__(self, command: Command, events: tuple[Event, ...], rejection: Rejected | None) -> None:
        self._command = command
        self._events = events
        self._rejection = rejection

    def then(self, *events: Event) -> None:
        """Check that exactly these events follow, in this order; none at all if none is named."""
        if self._rejection is not None:
            raise AssertionError(
                f"{self._command!r} was rejected: {type(self._rejection).__name__}: {self._rejection}"
            ) from self._rejection
        if self._events != events:
            raise AssertionError(_comparison("Other events follow.", events, self._events))

    def rejects(self, rejection: type[Rejected], *arguments: object) -> None:
        """Check that the command is rejected for this reason, with these arguments if any are named."""
        if self._rejection is None:
            raise AssertionError(_comparison("The command was not rejected.", [rejection], self._events))
        if type(self._rejection) is not rejection:
            raise AssertionError(
                f"Rejected for another reason: expected {rejection.__name__}, found {self._rejection!r}."
            ) from self._rejection
        if arguments and self._rejection.args != arguments:
            raise AssertionError(_comparison("Rejected with other arguments.", arguments, self._rejection.args))


def _decider(subject: Any, command: Command) -> Decider:
    deciders = list(_deciders(subject))
    for decider in deciders:
        if decider.command is type(command):
            return decider
    decided = ", ".join(decider.command.__name__ for decider in deciders)
    raise AssertionError(
        f"{_name(subject)} does not decide on {type(command).__name__}, but on {decided or 'nothing'}."
    )


def _deciders(subject: Any) -> Iterable[Decider]:
    if isinstance(subject, Decider):
        return [subject]
    if isinstance(subject, type) and issubclass(subject, Aggregate):
        return deciders_of(subject)
    return [decider_of(cast("Callable[..., Any]", subject))]


def _check_known(event: Event, decider: Decider) -> None:
    known = {name for boundary in decider.boundaries for name in boundary.fold.steps}
    if type(event).message_name not in known:
        raise AssertionError(
            f"{type(event).__name__} is given, and {' and '.join(decider.states) or 'a decision without states'} would "
            f"never see it. Known are: {', '.join(sorted(known)) or 'none'}."
        )


def _state(fold: Fold[Any], key: Any, events: Iterable[Event]) -> Any:
    state = fold.initial(key)
    for event in events:
        if key in _keys(fold, event):
            state = fold.apply(state, event)
    return state


def _keys(fold: Fold[Any], event: Event) -> list[Any]:
    fields = tuple([field for field in tag_fields(type(event)) if field.tag == fold.tag])
    return list(dict.fromkeys([value for _, _, value in identities(event, fields)]))


async def _rows(subject: Any, events: Iterable[Event]) -> list[Any]:
    rows = Transaction(_NoStore())  # type: ignore[arg-type]
    for event in events:
        if isinstance(subject, Projection):
            if type(event).message_name in subject.events:
                await subject.function(event, rows)
        else:
            fold = fold_of(subject)
            for key in _keys(fold, event) if type(event).message_name in fold.steps else ():
                row = fold.apply(await rows.get(subject, key), event)
                if row is None:
                    rows.delete(subject, key)
                else:
                    rows.put(row)
    return sorted([change.layout.unpack(row) for change in rows.changes() for row in change.puts], key=_order)


class _NoStore:
    """A database in which nothing is yet: rows go through their stored form and back, as they would in one."""

    async def load(self, shape: object, keys: object) -> list[Any]:
        return []


def _order(row: View) -> tuple[str, str]:
    return layout(type(row)).table, str(row.key)


def _comparison(what: str, expected: Iterable[object], found: Iterable[object]) -> str:
    return f"{what}\n  expected:\n{_listed(expected)}\n  found:\n{_listed(found)}"


def _listed(values: Iterable[object]) -> str:
    return "\n".join(f"    {pformat(value, width=110)}" for value in values) or "    (nothing)"


def _name(subject: Any) -> str:
    name: str = getattr(subject, "__name__", None) or getattr(subject, "name", "") or repr(subject)
    return name
