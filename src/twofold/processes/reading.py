"""Reading a process's declaration: what it is told of, what follows from that, and whether all of it can work."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias, get_args, get_origin

import msgspec

from twofold.commands import Context
from twofold.errors import DeclarationError
from twofold.folding import (
    Fold,
    alternatives,
    check_defaults,
    check_named,
    check_returned,
    check_takes,
    marked,
    parameters,
    state_parts,
)
from twofold.messages import Command, Event, Tag, source_location, type_hints
from twofold.processes.effects import Cancel, Compensate, End, Later, Step
from twofold.processes.outcomes import Accepted, Compensated, Refused
from twofold.processes.process import Ended, Migration, Missing, Process, migrations_of, reacts_of
from twofold.processes.timers import Timer

Subject: TypeAlias = tuple[str, str]
"""What a process can be told of: an event, an outcome of a command or a timer, by its kind and its stable name."""

_COMPENSATED: Subject = ("compensated", "")
_OUTCOMES = {Accepted: "accepted", Refused: "refused"}
_ITERABLES = {Iterator, Iterable, Generator, Collection, Sequence, list, tuple}


class Reaction(msgspec.Struct, frozen=True):
    """What follows from something: a call of the method with the state, what has happened, and the context."""

    call: Callable[[Any, Any, Context], Iterable[Any]]
    where: str
    starts: bool
    missing: Missing
    ended: Ended
    yields: frozenset[type]


class Yields(msgspec.Struct):
    """What reactions may yield, as their annotations say it."""

    commands: dict[str, type[Command]] = {}
    undoing: dict[str, type[Command]] = {}
    timers: dict[str, type[Timer]] = {}
    kinds: set[type] = set()


class Plan(msgspec.Struct, frozen=True):
    """All that a class of processes declares.

    ``steps`` and ``reactions`` are by what they are for; ``commands`` are those that are sent, the undoing ones as well,
    ``timers`` those that are set, both by their stable names.
    """

    process: type[Process]
    key: Tag
    fold: Fold[Any]
    steps: Mapping[Subject, tuple[Any, Callable[[Any, Any], Any]]]
    reactions: Mapping[Subject, Reaction]
    events: Mapping[str, type[Event]]
    commands: Mapping[str, type[Command]]
    timers: Mapping[str, type[Timer]]
    migrations: Mapping[int, Migration]

    def hears(self, subject: Subject) -> bool:
        """Say whether a step or a reaction is for something."""
        return subject in self.steps or subject in self.reactions

    @property
    def name(self) -> str:
        """The name that all versions of the process have."""
        return self.process.process_name

    @property
    def version(self) -> int:
        """Which version of the process it is."""
        return self.process.state_version


def subject_of(happened: Any) -> Subject:
    """Return as what something that has happened is known.

    >>> class Reserve(Command):
    ...     order: str
    >>> subject_of(Accepted(Reserve(order="7")))
    ('accepted', 'Reserve')
    """
    kind: Any = type(happened)
    if kind in _OUTCOMES:
        return _OUTCOMES[kind], type(happened.command).message_name
    if kind is Compensated:
        return _COMPENSATED
    return "timer" if issubclass(kind, Timer) else "event", kind.message_name


@functools.cache
def plan_of(cls: type[Process]) -> Plan:
    """Read a process.

    Raises:
        DeclarationError: something in it cannot work; the text names the class or method and its line.
    """
    parts = state_parts(cls)
    check_defaults(cls)
    told: dict[Subject, tuple[Any, Callable[..., Any]]] = {}
    steps: dict[Subject, tuple[Any, Callable[[Any, Any], Any]]] = {}
    for method in marked(cls, "evolve"):
        check_takes(method, "self", "event")
        check_returned(method, cls)
        for subject, kind in _subjects(method):
            _check_once(cls, steps, subject, method, "evolves")
            steps[subject] = (kind, method)
            told.setdefault(subject, (kind, method))
    reactions: dict[Subject, Reaction] = {}
    yields = Yields()
    for method in marked(cls, "react"):
        reaction = _reaction(cls, method, yields)
        for subject, kind in _subjects(method):
            _check_once(cls, reactions, subject, method, "reacts to")
            _check_stray(method, subject)
            reactions[subject] = reaction
            told.setdefault(subject, (kind, method))
    for (what, _), (kind, method) in told.items():
        if what == "event":
            check_named(cls, parts, kind, method)
    _check_led_to(cls, told, reactions, yields)
    tag = parts[0].tag
    return Plan(
        cls, tag, Fold(cls.__name__, tag, partial(_initial, cls), {}, cls), steps, reactions,
        {name: kind for (what, name), (kind, _) in told.items() if what == "event"},
        yields.commands | yields.undoing, yields.timers, migrations_of(cls),
    )  # fmt: skip


def _initial(cls: Any, key: Any) -> Any:
    return cls(key=key)


def _check_once(cls: type, found: Collection[Subject], subject: Subject, method: Any, verb: str) -> None:
    if subject in found:
        raise DeclarationError(f"{source_location(method)}: {cls.__name__} {verb} {_shown(subject)} twice.")


def _check_stray(method: Callable[..., Any], subject: Subject) -> None:
    reacts = reacts_of(method)
    if subject[0] != "event" and (reacts.starts or reacts.missing or reacts.ended):
        raise DeclarationError(
            f"{source_location(method)} reacts to {_shown(subject)}, which only an instance is told that is there. Leave out "
            "starts=, missing= and ended=: they are about events."
        )


# What a method is for.


def _subjects(method: Callable[..., Any]) -> Iterator[tuple[Subject, Any]]:
    """Yield what a method is for, each as its subject and its class: of an outcome, that is the command's."""
    found = parameters(method)
    name = found[1].name if len(found) > 1 else "event"
    hint = type_hints(method).get(name)
    for option in alternatives(hint) or (None,):
        outcome = _OUTCOMES.get(get_origin(option)) if option is not None else None
        if outcome:
            for command in alternatives(get_args(option)[0]):
                _check_command(method, command)
                yield (outcome, command.message_name), command
        elif option is Compensated:
            yield _COMPENSATED, Compensated
        elif isinstance(option, type) and issubclass(option, Timer) and option is not Timer:
            yield ("timer", option.message_name), option
        elif isinstance(option, type) and issubclass(option, Event) and option is not Event:
            yield ("event", option.message_name), option
        else:
            raise DeclarationError(
                f"{source_location(method)}: annotate its parameter {name!r} with what it is for: an "
                f"event, Accepted[…] or Refused[…] of a command, a timer, or Compensated; found {option!r}."
            )


def _check_command(method: Callable[..., Any], command: Any) -> None:
    if not (isinstance(command, type) and issubclass(command, Command)) or command is Command:
        raise DeclarationError(
            f"{source_location(method)}: an outcome is of a command, as in Accepted[Reserve]; found {command!r}."
        )


def _shown(subject: Subject) -> str:
    what, name = subject
    return {"accepted": f"Accepted[{name}]", "refused": f"Refused[{name}]", "compensated": "Compensated"}.get(
        what, name
    )


# What follows.


def _reaction(cls: type[Process], method: Callable[..., Any], yields: Yields) -> Reaction:
    found = parameters(method)
    hints = type_hints(method)
    context = [each for each in found[2:] if hints.get(each.name) is Context]
    for each in found[2:]:
        if each not in context:
            raise DeclarationError(
                f"{source_location(method)}: annotate its parameter {each.name!r} with Context, or leave it out; found "
                f"{hints.get(each.name)!r}. What a reaction has to know is in the event, and in the state."
            )
    kinds = frozenset(_yielded(method, yields))
    reacts = reacts_of(method)
    call = _caller(method, context[0].name if context else "")
    return Reaction(
        call, source_location(method), reacts.starts, reacts.missing or cls.process_missing,
        reacts.ended or cls.process_ended, kinds,
    )  # fmt: skip


def _caller(method: Callable[..., Any], context: str) -> Callable[[Any, Any, Context], Iterable[Any]]:
    def call(state: Any, happened: Any, circumstances: Context) -> Iterable[Any]:
        found = method(state, happened, **({context: circumstances} if context else {}))
        if not isinstance(found, Iterable):
            raise TypeError(
                f"{source_location(method)} returns {found!r}. A reaction yields what follows: write `yield` before each, or "
                "return a list of them."
            )
        return found

    return call


def _yielded(method: Callable[..., Any], yields: Yields) -> Iterator[type]:
    """Take note of what a reaction may yield, and yield the classes of that."""
    hint = type_hints(method).get("return")
    arguments = [each for each in get_args(hint) if each is not ...]
    if get_origin(hint) not in _ITERABLES or not arguments:
        raise _unsaid(method, hint)
    told = arguments if get_origin(hint) is tuple else arguments[:1]
    for option in [option for each in told for option in alternatives(each)] or [None]:
        origin, parts = get_origin(option), get_args(option)
        if origin is Step and all(_is_derived(each, Command) for each in parts):
            _note(method, yields.commands, parts[0])
            _note(method, yields.undoing, parts[1])
            kind = Step
        elif origin is Later and _is_derived(parts[0], Timer):
            _note(method, yields.timers, parts[0])
            kind = parts[0]
        elif _is_derived(option, Command):
            _note(method, yields.commands, option)
            kind = option
        elif option in (Cancel, Compensate, End):
            kind = option
        else:
            raise _unsaid(method, hint)
        yields.kinds.add(kind)
        yield kind


def _note(method: Callable[..., Any], known: dict[str, Any], kind: Any) -> None:
    other = known.setdefault(kind.message_name, kind)
    if other is not kind:
        raise DeclarationError(
            f"{source_location(method)} yields {source_location(kind)}, and by this name another reaction yields "
            f"{source_location(other)}: an outcome would not say of which it is. Use one class, or give one of them another "
            "name=."
        )


def _is_derived(kind: Any, base: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, base) and kind is not base


def _unsaid(method: Callable[..., Any], hint: Any) -> DeclarationError:
    return DeclarationError(
        f"{source_location(method)}: annotate what it yields, by name: commands, Step[Reserve, Release], Later[Deadline], "
        f"Cancel, Compensate, End, as in -> Iterator[Charge | Later[Deadline]]; found {hint!r}."
    )


def _check_led_to(
    cls: type[Process], told: Mapping[Subject, Any], reactions: Mapping[Subject, Reaction], yields: Yields
) -> None:
    """Check that an instance can be started, and that whatever the process is told of can happen."""
    if not any(each.starts for each in reactions.values()):
        raise DeclarationError(
            f"{source_location(cls)} is never started. Say which event does that: @react(starts=True) def begin(self, event: "
            "OrderPlaced) -> Iterator[…]."
        )
    sent = yields.commands.keys() | yields.undoing.keys()
    for (what, name), (_, method) in told.items():
        where, shown = source_location(method), _shown((what, name))
        if what in _OUTCOMES.values() and name not in sent:
            raise DeclarationError(f"{where} is for {shown}, and no reaction of {cls.__name__} yields a {name}.")
        if what == "timer" and name not in yields.timers:
            raise DeclarationError(
                f"{where} is for the timer {name}, and no reaction of {cls.__name__} yields a Later[{name}]: it never comes."
            )
        reaction = reactions.get((what, name))
        if what == "compensated" and reaction is not None and Compensate in reaction.yields:
            raise DeclarationError(
                f"{where} is told that all is undone, and has all undone: it would be told that for ever."
            )
        if what == "compensated" and Compensate not in yields.kinds:
            raise DeclarationError(
                f"{where} is for Compensated, and no reaction of {cls.__name__} yields a Compensate."
            )
    for name in yields.timers:
        if ("timer", name) not in told:
            raise DeclarationError(
                f"{source_location(cls)} sets the timer {name}, and is not told when it comes: @react def …(self, timer: "
                f"{name}) -> Iterator[…]."
            )
    if Compensate in yields.kinds and not yields.undoing:
        raise DeclarationError(
            f"{source_location(cls)} compensates, and none of its reactions yields a step that can be undone: "
            "yield step(Reserve(…), undo=Release(…))."
        )


class Definition(msgspec.Struct, frozen=True):
    """A process in all versions that a service has of it, the latest last."""

    plans: tuple[Plan, ...]

    @property
    def latest(self) -> Plan:
        """The version by which new instances begin."""
        return self.plans[-1]

    @property
    def name(self) -> str:
        """The name that all versions have."""
        return self.latest.name

    def plan(self, version: int) -> Plan:
        """Return what a version declares."""
        return next(plan for plan in self.plans if plan.version == version)

    @property
    def follower(self) -> str:
        """The name under which its checkpoint is kept, and what it has parked."""
        return f"process:{self.name}"

    @property
    def events(self) -> dict[str, type[Event]]:
        """The events that any version is told of, by their names."""
        return {name: event for plan in self.plans for name, event in plan.events.items()}

    @property
    def commands(self) -> dict[str, type[Command]]:
        """The commands that any version sends, by their names."""
        return {name: command for plan in self.plans for name, command in plan.commands.items()}


def definitions_of(processes: Sequence[type[Process]]) -> tuple[Definition, ...]:
    """Return processes, each with its versions together.

    Raises:
        DeclarationError: one cannot work; or two versions of one have one number, or different keys.
    """
    plans: dict[str, list[Plan]] = {}
    for plan in sorted(map(plan_of, processes), key=lambda plan: plan.version):
        plans.setdefault(plan.name, []).append(plan)
    for first, *others in plans.values():
        for earlier, later in zip([first, *others], others, strict=False):
            _check_versions(earlier, later)
    return tuple([Definition(tuple(each)) for each in plans.values()])


def _check_versions(earlier: Plan, later: Plan) -> None:
    one, other = source_location(earlier.process), source_location(later.process)
    if earlier.version == later.version:
        raise DeclarationError(
            f"{one} and {other} are both the process {later.name}, version {later.version}. Give the newer one a version= one "
            "higher, or one of them another name=."
        )
    if state_parts(earlier.process)[0].tag != state_parts(later.process)[0].tag:
        raise DeclarationError(
            f"{one} and {other} are versions of the process {later.name} with different keys, so an instance would not be "
            "found again. Give the newer one another name=: it is another process."
        )
