"""Event handlers, as users declare them: async functions that do something outside when an event has happened."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from inspect import Parameter
from typing import Any, Final, TypeVar, get_args, get_origin

import msgspec

from twofold.clock import moment
from twofold.errors import DeclarationError
from twofold.folding import alternatives, annotated, is_async, parameters
from twofold.followers import Policy, retries
from twofold.messages import Command, Event, Metadata, Tag, source_location, tag_fields, tag_of, type_hints
from twofold.messages.classes import check_name
from twofold.processes.beginning import Start, check_start
from twofold.processes.transaction import HandlerTransaction

H = TypeVar("H", bound=Callable[..., Awaitable[Any]])

DEFAULT_POLICY: Final = retries()

_PREFIX = "handler:"
_DECLARED = "__twofold_handler__"


class HandlerContext(msgspec.Struct, frozen=True):
    """The circumstances of an event, for an event handler that has a parameter annotated with `HandlerContext`.

    ``id`` is the same each time that this handler is given this event, and no other handler or event has it: what is called
    can know by it what it has done already. ``attempt`` is 1 the first time. ``recorded_at_us`` is when the log accepted the
    event, in microseconds since 1970. ``metadata`` is the event's; what is sent meanwhile inherits from it by itself.
    """

    id: str
    attempt: int
    position: int
    recorded_at_us: int
    metadata: Metadata

    @property
    def recorded_at(self) -> datetime:
        """When the log accepted the event."""
        return moment(self.recorded_at_us)


class EventHandler(msgspec.Struct, frozen=True):
    """What `handle` declares: a function, the events that it is given, and what it needs.

    ``tag`` is the one whose identity is the key; without one it is the first identity that an event has. ``resources`` are the
    classes of what it is given besides, by parameter. ``commands`` are those that it may return.
    """

    name: str
    events: Mapping[str, type[Event]]
    start: Start
    tag: Tag | None
    policy: Policy
    function: Callable[..., Awaitable[Any]]
    resources: Mapping[str, type]
    context: str
    transaction: str
    commands: tuple[type[Command], ...]

    @property
    def follower(self) -> str:
        """The name under which its checkpoint is kept, and what it has parked."""
        return f"{_PREFIX}{self.name}"

    def returned(self, result: Any) -> Sequence[Command]:
        """Return the commands that the function has returned.

        Raises:
            TypeError: it has returned something else than its annotation says.
        """
        commands = [] if result is None else result if isinstance(result, (list, tuple)) else [result]
        for each in commands:
            if type(each) not in self.commands:
                said = ", ".join(kind.__name__ for kind in self.commands) or "None"
                raise TypeError(
                    f"{source_location(self.function)} returns {each!r}, and its annotation says {said}. Write what it "
                    "returns: -> Reserve | None, or -> list[Reserve | Release]."
                )
        return commands


def handle(*, start: Start, key: Any = None, policy: Policy = DEFAULT_POLICY, name: str = "") -> Callable[[H], H]:
    """Declare an async function as an event handler: it is called for each event of the type that it is annotated with.

    ``start`` says with what it begins when it is new: ``"now"``, with what is recorded after the service has been started with
    it; ``"first"``, with the first event in the log; a time, with what was recorded from then on. Events of one ``key`` are
    handled one after the other, those of different keys at the same time; without one, the key is an event's first identity.
    What fails becomes what ``policy`` says. The ``name``, if it is not the function's, outlives a renaming.

    After the event, its parameters are what it needs, by type: a `HandlerContext`, a `HandlerTransaction`, and whatever the
    service has among its ``resources``. It may return a command or several, which are sent when it has succeeded.

    >>> from typing import Annotated
    >>> AccountId = Annotated[str, Tag("account")]
    >>> class AccountOpened(Event):
    ...     account: AccountId
    >>> class Mailer:
    ...     async def send(self, to: str, idempotency_key: str) -> None:
    ...         print(f"Welcome, {to}")
    >>> @handle(start="now")
    ... async def welcome(event: AccountOpened, mailer: Mailer, context: HandlerContext) -> None:
    ...     await mailer.send(event.account, idempotency_key=context.id)
    >>> event_handler_of(welcome).follower
    'handler:welcome'

    Raises:
        DeclarationError: the function is not async or not annotated, its name is none, or where it begins is not said.
    """

    def declare(function: H) -> H:
        setattr(function, _DECLARED, _read(function, start, key, policy, name))
        return function

    return declare


def event_handler_of(function: Any) -> EventHandler:
    """Return what was declared with `handle`.

    Raises:
        DeclarationError: nothing was.
    """
    declared = getattr(function, _DECLARED, None)
    if not isinstance(declared, EventHandler):
        raise DeclarationError(
            f"{source_location(function)} is listed as an event handler and has no @handle(start=…)."
        )
    return declared


def _read(function: Any, start: Any, key: Any, policy: Any, name: str) -> EventHandler:
    location = partial(source_location, function)
    if not inspect.isfunction(function) or not is_async(function) or inspect.isasyncgenfunction(function):
        raise DeclarationError(
            f"{location()}: an event handler is an async function that returns once, as it waits for what it calls. Write "
            "`async def`, and return commands in a list."
        )
    check_start(start, location)
    check_name(name or function.__name__, location)
    if not callable(policy):
        raise DeclarationError(f"{location()}: policy={policy!r} is none. Write policy=retries(…).")
    events = annotated(function, 0, Event)
    needs = dict(_needs(function))
    contexts, transactions = _of(needs, HandlerContext), _of(needs, HandlerTransaction)
    return EventHandler(
        name or function.__name__,
        {event.message_name: event for event in events},
        start,
        None if key is None else _key_tag(function, key, events),
        policy,
        function,
        {parameter: kind for parameter, kind in needs.items() if kind not in (HandlerContext, HandlerTransaction)},
        contexts,
        transactions,
        tuple(_returned(function)),
    )


def _needs(function: Any) -> Sequence[tuple[str, type]]:
    """Return the parameters behind the event, with their classes."""
    hints, found = type_hints(function), []
    for each in parameters(function)[1:]:
        kind = hints.get(each.name)
        if not isinstance(kind, type) or each.kind is Parameter.POSITIONAL_ONLY:
            raise DeclarationError(
                f"{source_location(function)}: annotate its parameter {each.name!r} with the class of what it needs: "
                f"HandlerContext, HandlerTransaction, or one of the service's resources; found {kind!r}."
            )
        found.append((each.name, kind))
    return found


def _of(needs: Mapping[str, type], kind: type) -> str:
    return next((parameter for parameter, each in needs.items() if each is kind), "")


def _key_tag(function: Any, key: Any, events: Sequence[type[Event]]) -> Tag:
    tag = tag_of(key)
    if tag is None:
        raise DeclarationError(
            f"{source_location(function)}: key={key!r} is no identity. Write key=OrderId, a type with a Tag."
        )
    for event in events:
        if all(field.tag != tag for field in tag_fields(event)):
            raise DeclarationError(
                f"{source_location(function)} handles {event.__name__} by the identity {tag.name!r}, and {event.__name__} has "
                "none. Leave out key=…, or handle that event by a function of its own."
            )
    return tag


def _returned(function: Any) -> Sequence[type[Command]]:
    """Return the commands that a handler says it returns: one, or a collection of them."""
    found: list[type[Command]] = []
    hint = type_hints(function).get("return")
    for option in alternatives(hint):
        is_many = isinstance(get_origin(option), type) and issubclass(get_origin(option), Sequence)
        arguments = [each for each in get_args(option) if each is not ...] if is_many else [option]
        for kind in [part for each in arguments for part in alternatives(each)]:
            if not (isinstance(kind, type) and issubclass(kind, Command) and kind is not Command):
                raise DeclarationError(
                    f"{source_location(function)}: an event handler returns nothing, a command, or a list of commands, as in "
                    f"-> Reserve | None or -> list[Reserve | Release]; found {hint!r}."
                )
            found.append(kind)
    return found
