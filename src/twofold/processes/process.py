"""Processes, as users declare them: keyed folds that react to what happens with commands and timers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, get_args, overload

import msgspec

from twofold.errors import DeclarationError
from twofold.folding import State, StateType, mark
from twofold.messages import class_location, source_location
from twofold.messages.classes import check_name
from twofold.processes.beginning import Start, check_start

F = TypeVar("F", bound=Callable[..., Any])
Migration: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]

Missing: TypeAlias = Literal["ignore", "park"]
"""What becomes of an event that finds no instance, and starts none."""
Ended: TypeAlias = Literal["ignore", "park", "start"]
"""What becomes of an event that finds an instance which has ended; ``start``: it is begun anew, if the event can start one."""

_REACTS = "__twofold_reacts__"
_MIGRATES = "__twofold_migrates__"


class ProcessType(StateType):
    """The metaclass of processes: it takes as class keywords where a process begins, and what becomes of stray events."""

    process_name: str
    process_start: Start
    process_missing: Missing
    process_ended: Ended
    marks = ("evolve", "react")
    has = "steps and reactions, and what decides stands in an aggregate"

    def __new__(
        mcls,
        class_name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        /,
        *,
        name: str = "",
        start: Any = None,
        missing: Any = None,
        ended: Any = None,
        **config: Any,
    ) -> ProcessType:
        cls: Any = super().__new__(mcls, class_name, bases, namespace, **config)
        location = partial(class_location, class_name, namespace)
        check_name(name or class_name, location)
        cls.process_name = name or class_name
        if "state_key" in vars(cls):
            check_start(start, location)
            _check_stray(location, "missing", missing, Missing, "an event that finds none")
            _check_stray(location, "ended", ended, Ended, "an event that finds one which has ended")
            cls.process_start, cls.process_missing, cls.process_ended = start, missing, ended
        elif (start, missing, ended) != (None, None, None):
            raise DeclarationError(
                f"{location()}: start=, missing= and ended= stand beside key=, and this class has none. Write key=OrderId "
                "too, or leave them out where the class that it is derived from has them."
            )
        return cls  # type: ignore[no-any-return]


def _check_stray(location: Callable[[], str], keyword: str, value: Any, allowed: Any, what: str) -> None:
    if value not in get_args(allowed):
        choice = " or ".join(f"{keyword}={each!r}" for each in get_args(allowed))
        found = "it does not say" if value is None else f"{keyword}={value!r} does not say"
        raise DeclarationError(f"{location()}: {found} what becomes of {what}. Write {choice}.")


if TYPE_CHECKING:

    class _Declared(State, metaclass=ProcessType):
        def __init_subclass__(
            cls, *, key: Any = ..., version: int = ..., name: str = ..., start: Start = ..., missing: Missing = ...,
            ended: Ended = ..., **config: Any,
        ) -> None: ...  # fmt: skip
else:
    _Declared = State


class Process(_Declared, metaclass=ProcessType):
    """What sees a thing through: a state per key, folded from what happens, that reacts with commands and timers.

    It is told of events, of the outcomes of its commands and of its timers. First a step (`twofold.evolve`) makes the next
    state of what has happened; then a reaction (`react`) says what follows. Both are pure. ``start`` says where it begins when
    it is new in a service: ``"now"``, ``"first"`` or a time; ``missing`` what becomes of an event that finds no instance and
    starts none, and ``ended`` of one that finds an instance which has ended.

    >>> from collections.abc import Iterator
    >>> from typing import Annotated, Self
    >>> from twofold import Accepted, Command, Event, Later, Process, Tag, Timer, after, evolve, react, replace
    >>> OrderId = Annotated[str, Tag("order")]
    >>> class OrderPlaced(Event):
    ...     order: OrderId
    >>> class Charge(Command):
    ...     order: OrderId
    >>> class Remind(Command):
    ...     order: OrderId
    >>> class Unpaid(Timer):
    ...     order: OrderId
    >>> class Payment(Process, key=OrderId, start="now", missing="ignore", ended="ignore"):
    ...     is_paid: bool = False
    ...     @react(starts=True)
    ...     def begin(self, event: OrderPlaced) -> Iterator[Charge | Later[Unpaid]]:
    ...         yield Charge(order=event.order)
    ...         yield after(Unpaid(order=event.order), days=3)
    ...     @evolve
    ...     def paid(self, outcome: Accepted[Charge]) -> Self:
    ...         return replace(self, is_paid=True)
    ...     @react
    ...     def late(self, timer: Unpaid) -> Iterator[Remind]:
    ...         if not self.is_paid:
    ...             yield Remind(order=timer.order)

    ``version=`` one higher is for a change that instances under way must not see: they go on by the class of their version,
    which is declared beside the new one, or are brought up to it by `migrate`.
    """


class Reacts(msgspec.Struct, frozen=True):
    """What `react` says of a reaction."""

    starts: bool = False
    missing: Missing | None = None
    ended: Ended | None = None


@overload
def react(function: F, /) -> F: ...
@overload
def react(*, starts: bool = False, missing: Missing | None = None, ended: Ended | None = None) -> Callable[[F], F]: ...
def react(function: Any = None, /, *, starts: bool = False, missing: Any = None, ended: Any = None) -> Any:
    """Mark a method of a process as its reaction to what its parameter is annotated with: it yields what follows.

    That is an event, an outcome of a command (`Accepted`, `Refused`), a timer, or `Compensated`; a parameter annotated with
    `twofold.Context` has the time at which it was recorded, and ids. With ``starts`` an event starts an instance if
    there is none; ``missing`` and ``ended`` say for one event what the class says for all.

    Raises:
        DeclarationError: it is async, or is no function.
    """

    def declare(method: F) -> F:
        location = partial(source_location, method)
        for keyword, value, allowed in (("missing", missing, Missing), ("ended", ended, Ended)):
            if value is not None:
                _check_stray(location, keyword, value, allowed, "the event")
        setattr(mark(method, "react"), _REACTS, Reacts(bool(starts), missing, ended))
        return method

    return declare if function is None else declare(function)


def reacts_of(method: Callable[..., Any]) -> Reacts:
    """Return what `react` has said of a reaction."""
    return getattr(method, _REACTS, Reacts())


def migrate(version: int) -> Callable[[Migration], staticmethod[[dict[str, Any]], dict[str, Any]]]:
    """Declare how the state of an instance of ``version`` becomes one of the next, as a dict of its fields.

    Raises:
        DeclarationError: it is no plain function of one parameter.
    """

    def declare(function: Migration) -> staticmethod[[dict[str, Any]], dict[str, Any]]:
        is_plain = inspect.isfunction(function) and not inspect.iscoroutinefunction(function)
        if type(version) is not int or version < 1 or not is_plain or len(inspect.signature(function).parameters) != 1:
            raise DeclarationError(
                f"{source_location(function)}: write @migrate(1), with the version that it takes, before a plain `def` that "
                "takes the fields of the old state, as a dict, and returns the new ones: def …(state): return {**state, …}."
            )
        setattr(function, _MIGRATES, version)
        return staticmethod(function)

    return declare


def migrations_of(cls: type[Process]) -> dict[int, Migration]:
    """Return the migrations of a process, by the versions that they take.

    Raises:
        DeclarationError: two take one version, or one takes a version that is not an earlier one.
    """
    found: dict[int, Migration] = {}
    for owner in reversed(cls.__mro__):
        for member in vars(owner).values():
            function = getattr(member, "__func__", None)
            version = getattr(function, _MIGRATES, 0)
            if function is None or not version:
                continue
            if version in found or version >= cls.state_version:
                flaw = "another one has it too" if version in found else f"the class is version {cls.state_version}"
                raise DeclarationError(
                    f"{source_location(function)} has @migrate({version}), and {flaw}. Migrations are from an earlier version "
                    "to the next one, one for each."
                )
            found[version] = function
    return found
