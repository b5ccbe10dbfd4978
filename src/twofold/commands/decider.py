"""Deciders: a command and some states in, events out. Whatever a user writes becomes one of these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, get_args, get_origin

import msgspec

from twofold.commands.context import Context
from twofold.errors import DeclarationError, InvalidMessage
from twofold.folding import F, Fold, State, alternatives, annotated, fold_of, marked, parameters, source_location
from twofold.messages import Command, Event, tag_fields, type_hints


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

    snapshot_every = 1000


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
    """Mark a decision: a method of an aggregate, or a function whose parameters are a command and the states it needs."""
    function.__twofold__ = "decide"  # type: ignore[attr-defined]
    return function


def deciders_of(aggregate: type[Aggregate]) -> Iterator[Decider]:
    """Yield what an aggregate decides.

    Raises:
        DeclarationError: a decision is not annotated, finds no key in its command, or yields what is not evolved.
    """
    fold = fold_of(aggregate)
    for method in marked(aggregate, "decide"):
        command, extra = _command_and_rest(method, first=1)
        boundary = Boundary(fold, _key_field(method, command, fold, parameter=None))
        yield _decider(method, command, (boundary,), _arguments(method, command, extra, own_state=True))


def decider_of(function: Callable[..., Any]) -> Decider:
    """Return the decider that a function marked with `decide` declares.

    Raises:
        DeclarationError: it is not marked or not annotated, or a state's key is not in the command.
    """
    if getattr(function, "__twofold__", None) != "decide":
        raise DeclarationError(f"{source_location(function)} is listed as a decision and has no @decide.")
    command, extra = _command_and_rest(function, first=0)
    boundaries = []
    for name, kind in extra.items():
        if kind is not Context:
            fold = fold_of(kind)
            boundaries.append(Boundary(fold, _key_field(function, command, fold, parameter=name)))
    return _decider(function, command, tuple(boundaries), _arguments(function, command, extra, own_state=False))


def _command_and_rest(function: Callable[..., Any], first: int) -> tuple[type[Command], dict[str, Any]]:
    commands = annotated(function, first, Command)
    if len(commands) > 1:
        raise DeclarationError(f"{source_location(function)} takes several commands; write one decision for each.")
    hints = type_hints(function)
    rest = {name: hints.get(name) for name in parameters(function)[first + 1 :]}
    for name, kind in rest.items():
        is_state = isinstance(kind, type) and issubclass(kind, State) and first == 0
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
    fields = [each.field for each in tag_fields(command) if each.tag == fold.tag and not each.many]
    if len(fields) == 1:
        field = fields[0]
    elif parameter in fields:
        field = parameter
    else:
        found = f"has {', '.join(fields)}" if fields else "has none"
        hint = (
            "Name the parameter like the field that it means." if fields and parameter else "Annotate one with the tag."
        )
        raise DeclarationError(
            f"{source_location(function)} decides on {fold.name}, so {command.__name__} needs one field with the tag "
            f"{fold.tag.name!r}, and it {found}. {hint}"
        )
    return _getter(field, fold)


def _getter(field: str, fold: Fold[Any]) -> Callable[[Any], Any]:
    def key(command: Any) -> Any:
        value = getattr(command, field)
        if value is None:
            raise InvalidMessage(
                f"{type(command).message_name}: it names no {field}, and is decided on the {fold.name} that this names."
            )
        return value

    return key


def _arguments(
    function: Callable[..., Any], command: type[Command], extra: dict[str, Any], *, own_state: bool
) -> Callable[..., Iterable[Event]]:
    """Return the function as a decider calls it: (command, context, *states), whatever order its own parameters have."""
    if own_state:
        if extra:
            (context_name,) = extra
            return lambda command, context, state: function(state, command, **{context_name: context})
        return lambda command, _, state: function(state, command)
    names = tuple(extra)
    places = _places(extra)
    if Context not in extra.values():
        return lambda command, _, *states: function(command, *states)
    return lambda command, context, *states: function(
        command, **{name: context if at is None else states[at] for name, at in zip(names, places, strict=True)}
    )


def _places(extra: dict[str, Any]) -> tuple[int | None, ...]:
    states = iter(range(len(extra)))
    return tuple([None if kind is Context else next(states) for kind in extra.values()])


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
    return Decider(command, boundaries, call, events, function.__qualname__)


def _yielded(function: Callable[..., Any]) -> tuple[type[Event], ...]:
    hint = type_hints(function).get("return")
    arguments = get_args(hint)
    if get_origin(hint) in _ITERABLES and arguments:
        events = alternatives(arguments[0])
        if events and all(isinstance(event, type) and issubclass(event, Event) for event in events):
            return events
    raise DeclarationError(
        f"{source_location(function)}: annotate what it yields, as in -> Iterator[Deposited] or "
        f"-> Iterator[Opened | Deposited]; found {hint!r}."
    )


_ITERABLES = {Iterator, Iterable, *(get_origin(Iterable[int]), get_origin(Iterator[int]))}
