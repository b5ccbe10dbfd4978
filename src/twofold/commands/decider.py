"""Deciders: a command and some states in, events out. Whatever a user writes becomes one of these."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from inspect import Parameter
from operator import attrgetter
from typing import Any, ClassVar, get_args, get_origin

import msgspec

from twofold.commands.context import Context
from twofold.errors import DeclarationError
from twofold.folding import (
    F,
    Fold,
    State,
    alternatives,
    annotated,
    check_waits_for_nothing,
    fold_of,
    mark,
    marked,
    parameters,
    role_of,
)
from twofold.messages import Command, Event, source_location, tag_fields, type_hints


class Aggregate(State):
    """A state to decide on: what it evolves is its past, what it decides is its future.

    ``snapshot_every`` is the number of events after which the state is kept, so that loading it need not fold them again;
    0 means never.

    >>> from typing import Annotated, Self
    >>> from twofold import Tag, decide, evolve, replace
    >>> AccountId = Annotated[str, Tag("account")]
    >>> class Deposit(Command):
    ...     account: AccountId
    ...     amount: int
    >>> class Deposited(Event):
    ...     account: AccountId
    ...     amount: int
    >>> class Account(Aggregate, key=AccountId):
    ...     balance: int = 0
    ...     @decide
    ...     def deposit(self, command: Deposit) -> Iterator[Deposited]:
    ...         yield Deposited(account=command.account, amount=command.amount)
    ...     @evolve
    ...     def deposited(self, event: Deposited) -> Self:
    ...         return replace(self, balance=self.balance + event.amount)
    >>> Account(key="ann").deposited(Deposited(account="ann", amount=5))
    Account(key='ann', balance=5)
    """

    snapshot_every: ClassVar[int] = 1000


class Boundary(msgspec.Struct, frozen=True):
    """One state that a decision needs: the fold, and how the command tells whose."""

    fold: Fold[Any]
    key: Callable[[Any], Any]


class Decider(msgspec.Struct, frozen=True):
    """A decision as plain values: what `Aggregate` and `decide` come down to, and can be written by hand.

    ``decide`` takes the command, the context and the states, and returns the events, or raises a
    `twofold.errors.Rejected`. It is pure: it may be called again after a conflict.
    """

    command: type[Command]
    boundaries: tuple[Boundary, ...]
    decide: Callable[..., Iterable[Event]]
    events: tuple[type[Event], ...] = ()
    name: str = ""

    @property
    def states(self) -> tuple[str, ...]:
        """The names of the states that the decision reads."""
        return tuple(boundary.fold.name for boundary in self.boundaries)


def decide(function: F) -> F:
    """Mark a decision: a method of an aggregate, or a function whose parameters are a command and the states it needs.

    Raises:
        DeclarationError: it is async, or is no function.
    """
    return mark(function, "decide")


def deciders_of(aggregate: type[Aggregate]) -> Iterator[Decider]:
    """Yield what an aggregate decides.

    Raises:
        DeclarationError: a decision is not annotated, finds no key in its command, or yields what is not evolved.
    """
    fold = fold_of(aggregate)
    _check_snapshots(aggregate)
    for method in marked(aggregate, "decide"):
        command, extra = _command_and_rest(method, first=1)
        boundary = Boundary(fold, _key_field(method, command, fold, parameter=None))
        yield _decider(method, command, (boundary,), _caller(method, extra, own_state=True))


def _check_snapshots(aggregate: type[Aggregate]) -> None:
    every = aggregate.snapshot_every
    if type(every) is not int or every < 0:
        raise DeclarationError(
            f"{source_location(aggregate)}: snapshot_every = {every!r} is no number of events. Write a whole number, "
            "or 0 for no snapshots."
        )


def decider_of(function: Callable[..., Any]) -> Decider:
    """Return the decider that a function marked with `decide` declares.

    Raises:
        DeclarationError: it is not marked or not annotated, or a state's key is not in the command.
    """
    if role_of(function) != "decide" or not inspect.isfunction(function):
        raise DeclarationError(f"{source_location(function)} is listed as a decision and has no @decide.")
    check_waits_for_nothing(function, "decide")
    command, extra = _command_and_rest(function, first=0)
    boundaries = []
    for name, kind in extra.items():
        if kind is not Context:
            fold = fold_of(kind)
            boundaries.append(Boundary(fold, _key_field(function, command, fold, parameter=name)))
    return _decider(function, command, tuple(boundaries), _caller(function, extra, own_state=False))


def _command_and_rest(function: Callable[..., Any], first: int) -> tuple[type[Command], dict[str, Any]]:
    commands = annotated(function, first, Command)
    if len(commands) > 1:
        raise DeclarationError(f"{source_location(function)} takes several commands; write one decision for each.")
    if any(each.kind is Parameter.KEYWORD_ONLY for each in parameters(function)[: first + 1]):
        raise DeclarationError(f"{source_location(function)} gets its command by position. Put the * behind it.")
    hints = type_hints(function)
    rest = {each.name: hints.get(each.name) for each in parameters(function)[first + 1 :]}
    for name, kind in rest.items():
        is_state = isinstance(kind, type) and issubclass(kind, Aggregate) and first == 0
        if kind is not Context and not is_state:
            expected = "Context" if first else "Context or an aggregate's class"
            raise DeclarationError(
                f"{source_location(function)}: annotate its parameter {name!r} with {expected}; found {kind!r}."
            )
    return commands[0], rest


def _key_field(
    function: Callable[..., Any], command: type[Command], fold: Fold[Any], parameter: str | None
) -> Callable[[Any], Any]:
    """Find the command's field that says whose state is meant: the only one with the tag, or the parameter's namesake."""
    tag = fold.key
    fields = [each.field for each in tag_fields(command) if each.tag == tag and not each.many]
    if len(fields) != 1 and parameter not in fields:
        if not fields:
            found, hint = "none", "Annotate one with the tag."
        elif parameter:
            found, hint = ", ".join(fields), "Name the parameter like the field that it means."
        else:
            found, hint = ", ".join(fields), "Write a function whose parameter is named like the field that it means."
        raise DeclarationError(
            f"{source_location(function)} decides on {fold.name}, so {command.__name__} needs one field with the tag "
            f"{tag.name!r}, and it has {found}. {hint}"
        )
    field = fields[0] if len(fields) == 1 else str(parameter)
    if {type(None), msgspec.UnsetType} & {*alternatives(type_hints(command)[field])}:
        raise DeclarationError(
            f"{source_location(function)} decides on {fold.name}, and {command.__name__} may leave out the {field!r} "
            "that says whose. Require the field, or take another command, with its own decision, for when there is none."
        )
    return attrgetter(field)


def _caller(function: Callable[..., Any], rest: dict[str, Any], *, own_state: bool) -> Callable[..., Iterable[Event]]:
    """Return the function as a decider calls it: (command, context, *states), whatever order its own parameters have."""
    takes = parameters(function)[2 if own_state else 1 :]
    if own_state and not takes:
        return lambda command, _, state: function(state, command)
    by_name = [each.name for each in takes if each.kind is Parameter.KEYWORD_ONLY]
    if not by_name and Context not in rest.values():
        return lambda command, _, *states: function(command, *states)
    positional = len(takes) - len(by_name)

    def call(command: Command, context: Context, *states: Any) -> Any:
        free = iter(states)
        first = (next(free), command) if own_state else (command,)
        values = [context if rest[each.name] is Context else next(free) for each in takes]
        return function(*first, *values[:positional], **dict(zip(by_name, values[positional:], strict=True)))

    return call


def _listed(function: Callable[..., Any], call: Callable[..., Any]) -> Callable[..., Iterable[Event]]:
    """Return a call of a decision that does not yield, and so has to return its events in a list or the like."""

    def listed(command: Command, context: Context, *states: Any) -> Iterable[Event]:
        events = call(command, context, *states)
        if not isinstance(events, Iterable):
            raise TypeError(
                f"{source_location(function)} returns {events!r}. A decision yields its events: write `yield` before each, "
                "or return a list of them."
            )
        return events

    return listed


def _decider(
    function: Callable[..., Any],
    command: type[Command],
    boundaries: tuple[Boundary, ...],
    call: Callable[..., Iterable[Event]],
) -> Decider:
    events = _yielded(function)
    known = {name for boundary in boundaries for name in boundary.fold.steps}
    if boundaries:
        for event in events:
            if event.message_name not in known:
                states = " or ".join(boundary.fold.name for boundary in boundaries)
                raise DeclarationError(
                    f"{source_location(function)} yields {event.__name__}, which {states} cannot evolve. Add to it: "
                    f"@evolve def …(self, event: {event.__name__}) -> Self."
                )
    if not inspect.isgeneratorfunction(inspect.unwrap(function)):
        call = _listed(function, call)
    return Decider(command, boundaries, call, events, function.__qualname__)


def _yielded(function: Callable[..., Any]) -> tuple[type[Event], ...]:
    hint = type_hints(function).get("return")
    arguments = [each for each in get_args(hint) if each is not ...]
    if get_origin(hint) in _ITERABLES and arguments:
        told = arguments if get_origin(hint) is tuple else arguments[:1]
        events = tuple([event for each in told for event in alternatives(each)])
        if events and all(isinstance(event, type) and issubclass(event, Event) for event in events):
            if Event in events:
                raise DeclarationError(
                    f"{source_location(function)}: say which events it yields, as in -> Iterator[Opened | Deposited]; "
                    f"found {hint!r}."
                )
            return events
    raise DeclarationError(
        f"{source_location(function)}: annotate what it yields, as in -> Iterator[Deposited] or "
        f"-> Iterator[Opened | Deposited]; found {hint!r}."
    )


_ITERABLES = {Iterator, Iterable, Generator, Collection, Sequence, list, tuple}
