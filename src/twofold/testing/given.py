"""Given what happened, when a command comes, then these events follow: tests of decisions and views in one line."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, cast, overload

from twofold.commands import Aggregate, Context, Decider, decider_of, deciders_of
from twofold.errors import Rejected, UnrecordableEvent
from twofold.folding import Fold, fold_of
from twofold.log import recordable
from twofold.messages import Command, Event, Metadata, received, tagger
from twofold.processes import Process
from twofold.testing.comparison import comparison
from twofold.testing.given_process import GivenProcess
from twofold.views import Projection, TableChange, Transaction, View, table_name
from twofold.views.bounds import key_packing

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@overload
def given(subject: type[Process], *happened: Any, at: datetime = NOON) -> GivenProcess: ...
@overload
def given(subject: Any, *events: Event, at: datetime = NOON) -> Given: ...
def given(subject: Any, *events: Any, at: datetime = NOON) -> Given | GivenProcess:
    """Begin a test of an aggregate, a decision, a decider, a view, a projection or a process, with what has happened before.

    Nothing else is needed: no log, no database, no event loop. ``at`` is the time that a decision finds in its
    `twofold.Context`, whose ids are ``id-1``, ``id-2`` and so on. A process is given, besides events, outcomes of what it
    sends and timers: see `GivenProcess`.

    >>> from examples.bank import Account, Balance, Deposited, InsufficientFunds, Transfer, Transferred, transfer
    >>> from examples.bank import Withdraw, Withdrawn
    >>> paid_in = Deposited(account="ann", amount=5)
    >>> given(Account, paid_in).when(Withdraw(account="ann", amount=5)).then(Withdrawn(account="ann", amount=5))
    >>> given(Account, paid_in).when(Withdraw(account="ann", amount=6)).rejects(InsufficientFunds)
    >>> given(transfer, paid_in).when(Transfer(source="ann", target="bob", amount=5)).then(
    ...     Transferred(source="ann", target="bob", amount=5)
    ... )
    >>> given(Balance, paid_in).then(Balance(key="ann", amount=5))

    Raises:
        AssertionError: an event is given that the subject would never see, or that the log could not give back.
        DeclarationError: the subject is not declared well.
    """
    if isinstance(subject, type) and issubclass(subject, Process):
        return GivenProcess.of(subject, events, at)
    known = _events_of(subject)
    return Given(subject, tuple([_given(subject, known, event) for event in events]), at)


class Given:
    """A subject and its history."""

    def __init__(self, subject: Any, events: tuple[Event, ...], at: datetime) -> None:
        self._subject = subject
        self._events = events
        self._at = at

    def when(self, command: Command) -> When:
        """Have the command decided on what was given.

        Raises:
            AssertionError: the subject does not decide on it, or yields what the log could not give back.
            InvalidMessage: the command does not fit its type.
            TypeError: a state cannot evolve what is yielded.
        """
        decider = _decider_for(self._subject, command)
        command = received(command)
        states = [_state(boundary.fold, boundary.key(command), self._events) for boundary in decider.boundaries]
        try:
            events = tuple(decider.decide(command, _context(self._at), *states))
        except Rejected as rejection:
            return When(command, (), rejection)
        events = tuple([_yielded(decider, event) for event in events])
        for boundary in decider.boundaries:
            _state(boundary.fold, boundary.key(command), (*self._events, *events))
        return When(command, events, None)

    def then(self, *rows: View) -> None:
        """Check that a view, or the views of a projection, have exactly these rows, in whatever order.

        Raises:
            AssertionError: they have others.
        """
        if not _fills_rows(self._subject):
            raise AssertionError(f"{_name(self._subject)} decides: say on what, with .when(command), before .then(…).")
        found = sorted(_rows(self._subject, self._events), key=_place)
        expected = sorted(rows, key=_place)
        if found != expected:
            raise AssertionError(comparison(f"{_name(self._subject)} has other rows.", expected, found))


class When:
    """What a decision has made of a command."""

    def __init__(self, command: Command, events: tuple[Event, ...], rejection: Rejected | None) -> None:
        self._command = command
        self._events = events
        self._rejection = rejection

    def then(self, *events: Event) -> None:
        """Check that exactly these events follow, in this order; none at all if none is named.

        Raises:
            AssertionError: others follow, or the command was rejected.
        """
        if self._rejection is not None:
            what = f"{self._command!r} was rejected."
            raise AssertionError(comparison(what, events, [self._rejection])) from self._rejection
        if self._events != events:
            raise AssertionError(comparison(f"Of {self._command!r} other events follow.", events, self._events))

    def rejects(self, rejection: type[Rejected], *arguments: object) -> None:
        """Check that the command is rejected for exactly this reason, and with these arguments if any are named.

        Raises:
            AssertionError: it is accepted, or rejected for another reason.
        """
        if self._rejection is None:
            raise AssertionError(comparison(f"{self._command!r} was not rejected.", [rejection], self._events))
        if type(self._rejection) is not rejection or (arguments and self._rejection.args != arguments):
            expected = rejection(*arguments) if arguments else rejection
            what = f"{self._command!r} was rejected for another reason."
            raise AssertionError(comparison(what, [expected], [self._rejection])) from self._rejection


# The subject: what it decides on, and which events it sees.


def _fills_rows(subject: Any) -> bool:
    return isinstance(subject, Projection) or (isinstance(subject, type) and issubclass(subject, View))


def _deciders(subject: Any) -> Sequence[Decider]:
    if isinstance(subject, Decider):
        return [subject]
    if isinstance(subject, type) and issubclass(subject, Aggregate):
        return list(deciders_of(subject))
    if getattr(subject, "__twofold__", "") == "decide":
        return [decider_of(cast("Callable[..., Any]", subject))]
    raise AssertionError(
        f"given({_name(subject)}, …) takes an aggregate, a function with @decide, a Decider, a view, a projection or a "
        "process."
    )


def _decider_for(subject: Any, command: Command) -> Decider:
    deciders = () if _fills_rows(subject) else _deciders(subject)
    for decider in deciders:
        if decider.command is type(command):
            return decider
    decided = ", ".join(decider.command.__name__ for decider in deciders) or "nothing"
    raise AssertionError(
        f"{_name(subject)} does not decide on {type(command).__name__}, but on {decided}. Add a method or function with "
        "@decide for it, or begin with given(…) of what decides on it."
    )


def _events_of(subject: Any) -> set[str]:
    if isinstance(subject, Projection):
        return set(subject.events)
    if _fills_rows(subject):
        return set(fold_of(subject).steps)
    boundaries = [boundary for decider in _deciders(subject) for boundary in decider.boundaries]
    return {name for boundary in boundaries for name in boundary.fold.steps}


def _given(subject: Any, known: set[str], event: Event) -> Event:
    if type(event).message_name not in known:
        raise AssertionError(
            f"{type(event).__name__} is given, and {_name(subject)} never sees it: it evolves "
            f"{', '.join(sorted(known)) or 'nothing'}. Leave it out, or add an @evolve for it."
        )
    return _kept(event, "given")


def _yielded(decider: Decider, event: Event) -> Event:
    if decider.events and type(event) not in decider.events:
        declared = ", ".join(each.__name__ for each in decider.events)
        raise AssertionError(
            f"{decider.name} yields {event!r}, and is annotated as yielding {declared}. Add "
            f"{type(event).__name__} to what it returns: -> Iterator[…]."
        )
    return _kept(event, "yielded")


def _kept(event: Event, how: str) -> Event:
    """Return an event as the log gives it back: its class says nothing of its values until it is read."""
    try:
        return recordable(event, "", b"").event
    except UnrecordableEvent as error:
        raise AssertionError(f"{event!r} is {how}, and the log could not give it back. {error}") from error


# Folding.

_NEEDS_DATABASE = "runs SQL of its own, which needs a database: test it with twofold.testing.running(service)."


def _context(at: datetime) -> Context:
    numbers = iter(range(1, 1_000_000))
    return Context(round(at.timestamp() * 1_000_000), lambda: f"id-{next(numbers)}", Metadata())


def _state(fold: Fold[Any], key: Any, events: Iterable[Event]) -> Any:
    state, tag = fold.initial(key), fold.key.of(key)
    for event in events:
        if tag in tagger(type(event))(event):
            state = fold.apply(state, event)
    return state


def _rows(subject: Any, events: Iterable[Event]) -> list[View]:
    views = subject.views if isinstance(subject, Projection) else [subject]
    rows = Transaction(cast("Any", _EmptyDatabase()), views)
    handle = subject.function if isinstance(subject, Projection) else _folding(subject)
    for event in events:
        _finish(subject, cast("Coroutine[Any, Any, None]", handle(event, rows)))
        if not all(isinstance(write, TableChange) for write in rows.writes()):
            raise AssertionError(f"{_name(subject)} {_NEEDS_DATABASE}")
    return [change.layout.unpack(row) for change in rows.writes() for row in change.puts]


def _folding(view: type[View]) -> Callable[[Event, Transaction], Coroutine[Any, Any, None]]:
    fold = fold_of(view)

    async def handle(event: Event, rows: Transaction) -> None:
        for key in fold.key.finder(type(event))(event):
            row = fold.steps[type(event).message_name][1](await rows.get(view, key), event)
            if row is None:
                rows.delete(view, key)
            else:
                rows.put(row)

    return handle


def _finish(subject: Any, coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that has nothing to wait for, which works inside and outside of an event loop."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise AssertionError(
        f"{_name(subject)} waits for something else than its rows. A projection that is retried or rebuilt must come to "
        "the same rows each time: let it read events and rows, and nothing else."
    )


class _EmptyDatabase:
    """A database in which nothing is yet: rows go through their stored form and back, as they would in one."""

    async def load(self, shape: object, keys: object) -> list[Any]:
        return []

    async def preview(self, writes: object, shape: object, keys: object) -> list[Any]:
        raise AssertionError(f"The projection {_NEEDS_DATABASE}")


def _place(row: View) -> tuple[str, str]:
    return table_name(type(row)), str(key_packing(type(row))(row.key))


def _name(subject: Any) -> str:
    name: str = getattr(subject, "__name__", None) or getattr(subject, "name", "") or repr(subject)
    return name
