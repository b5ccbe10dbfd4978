"""Keyed folds: how events become a state. Aggregates, processes and views are this one shape."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import msgspec
from typing_extensions import dataclass_transform

from twofold.errors import DeclarationError, LogCorrupted
from twofold.folding.annotations import F, alternatives, annotated, check_takes, mark, marked, role_of
from twofold.folding.fingerprint import fingerprint
from twofold.folding.keys import check_key, keyed
from twofold.log.model import StoredPayload
from twofold.messages import (
    Event,
    Key,
    Part,
    Tag,
    check_version,
    class_location,
    key_of,
    key_parts,
    reader,
    source_location,
    struct_class,
    tag_fields,
    type_hints,
)

S = TypeVar("S")


class StateType(msgspec.StructMeta):
    """The metaclass of states: it takes the key, the version and the like as class keywords."""

    state_key: Any
    state_version: int
    takes_composite_keys = False
    """Whether the states of this kind may be found by several identities together."""
    marks: tuple[str, ...] = ("decide", "evolve")
    """As what methods of such states may be marked."""
    has = "steps and decisions; write it as a function"

    def __new__(
        mcls,
        class_name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        /,
        *,
        key: Any = None,
        version: int = 1,
        **config: Any,
    ) -> StateType:
        location = partial(class_location, class_name, namespace)
        check_version(version, location)
        for name, member in namespace.items():
            if role_of(member) not in ("", *mcls.marks):
                raise DeclarationError(f"{location()}: {name} has @{role_of(member)}. A state has {mcls.has}.")
        if key is not None:
            parts = key_parts(key, location())
            check_key(parts, bases, namespace, location, may_be_composite=mcls.takes_composite_keys)
            bases = tuple([keyed(base, parts) if isinstance(base, StateType) else base for base in bases])
        cls: StateType = struct_class(partial(super().__new__, mcls), class_name, bases, namespace, config)
        if "key" in inspect.get_annotations(cls) and any(isinstance(base, StateType) for base in bases):
            raise DeclarationError(
                f"{location()}: every state has the field 'key', which says whose it is. Give its type as key=…, and your "
                "field another name."
            )
        if key is not None:
            cls.state_key = key
        cls.state_version = version
        return cls


if TYPE_CHECKING:

    @dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(msgspec.field,))
    class _FrozenStruct:
        def __init_subclass__(cls, *, key: Any = ..., version: int = ..., **config: Any) -> None: ...
else:
    _FrozenStruct = msgspec.Struct


class State(_FrozenStruct, metaclass=StateType):
    """A frozen value folded from the events of one key. All its other fields need defaults: they are where it starts."""

    key: Any


def evolve(method: F) -> F:
    """Mark a method of a state as the step for the event that its parameter is annotated with: it returns the next state.

    Raises:
        DeclarationError: it is async, yields, or is no function.
    """
    if inspect.isgeneratorfunction(method):
        raise DeclarationError(
            f"{source_location(method)} has @evolve and yields. It returns the next state: return replace(self, …)."
        )
    return mark(method, "evolve")


if TYPE_CHECKING:

    def replace(state: S, /, **changes: Any) -> S:
        """Return the state with some fields changed: ``replace(self, balance=5)``."""
else:
    # It is called once for every event that is ever folded: nothing is put around it.
    replace = msgspec.structs.replace


class Fold(msgspec.Struct, Generic[S], frozen=True):
    """Three things that make a state from events: where to start, what each event changes, and whose events they are.

    ``steps`` is by the events' stable names.
    """

    name: str
    key: Tag | Key
    initial: Callable[[Any], S]
    steps: Mapping[str, tuple[type[Event], Callable[[S, Any], S]]]
    state: Any = None

    @property
    def fingerprint(self) -> str:
        """A name for all the code that a folded state depends on; empty if there is none. It is found when it is asked for."""
        return _fingerprint(self.state)

    @property
    def types(self) -> tuple[str, ...]:
        """The stable names of the events that change the state."""
        return tuple(sorted(self.steps))

    @property
    def snapshot_every(self) -> int:
        """After how many events the state is kept as a snapshot; 0 is never."""
        every: int = getattr(self.state, "snapshot_every", 0)
        return every if every and self.fingerprint else 0

    def apply(self, state: S, event: Event) -> S:
        """Return the state after an event; one that the fold does not know changes nothing.

        Raises:
            TypeError: the step returned something else than the next state of the same key.
        """
        step = self.steps.get(type(event).message_name)
        if step is None:
            return state
        following = step[1](state, event)
        self.check(state, following, step)
        return following

    def check(self, before: Any, after: Any, step: tuple[type[Event], Callable[[S, Any], S]]) -> None:
        """Check what a step has returned; a fold that was written by hand may have states of several classes, and no keys.

        Raises:
            TypeError: it is something else than the next state of the same key.
        """
        kind, function = step
        if after is None:
            raise TypeError(
                f"{self.name} evolves {kind.__name__} to None: is there a `return` missing in the @evolve? "
                f"It is {source_location(function)}."
            )
        if self.state is None:
            return
        if type(after) is not self.state:
            raise TypeError(
                f"{source_location(function)} evolves {kind.__name__} to {after!r}, and has to return the next "
                f"{self.name}: return replace(self, …)."
            )
        if after.key is not before.key and after.key != before.key:
            raise TypeError(
                f"{source_location(function)} evolves {kind.__name__} to the {self.name} of {after.key!r} instead of "
                f"{before.key!r}: the key says whose it is, and does not change."
            )

    def replay(self, state: S, events: Iterable[StoredPayload]) -> S:
        """Return the state after stored events, all of types that the fold knows.

        Raises:
            LogCorrupted: a stored event does not fit its class.
            TypeError: a step returned something else than the next state of the same key.
        """
        of, first, key = self.state, state, getattr(state, "key", None)
        # What is done here is done for every event that is ever read: the usual case is told in place.
        ways: dict[tuple[str, int], tuple[Callable[[bytes], Event], Callable[[S, Any], S]]] = {}
        try:
            for each in events:
                way = ways.get((each.type, each.version))
                if way is None:
                    kind, step = self.steps[each.type]
                    way = ways[each.type, each.version] = reader(kind, each.version), step
                read, step = way
                state = step(state, read(each.data))
                if type(state) is not of or state.key is not key:  # type: ignore[attr-defined]
                    self.check(first, state, self.steps[each.type])
        except msgspec.DecodeError as error:
            kind, _ = self.steps[each.type]
            raise LogCorrupted(
                f"The event at position {each.position} does not fit {kind.__module__}.{kind.__qualname__}: {error}. "
                "A changed shape needs version= one higher and an @upcast from the old one."
            ) from error
        return state


@functools.cache
def fold_of(cls: type[S]) -> Fold[S]:
    """Return the fold that a state class declares with ``key=`` and ``@evolve``.

    Raises:
        DeclarationError: there is no key, a field has no default, or a step is not annotated, given twice, or for an
            event that does not name whose state it changes.
    """
    parts = state_parts(cls)
    check_defaults(cls)
    steps: dict[str, tuple[type[Event], Callable[[S, Any], S]]] = {}
    for method in marked(cls, "evolve"):
        check_takes(method, "self", "event")
        check_returned(method, cls)
        for event in annotated(method, 1, Event):
            if event.message_name in steps:
                raise DeclarationError(f"{source_location(method)}: {cls.__name__} evolves {event.message_name} twice.")
            check_named(cls, parts, event, method)
            steps[event.message_name] = (event, method)
    if not steps:
        raise DeclarationError(
            f"{source_location(cls)} evolves no event. Add a method: @evolve def opened(self, event: Opened) -> Self."
        )
    return Fold(cls.__name__, key_of(parts), partial(_initial, cls), steps, cls)


def state_parts(cls: Any) -> tuple[Part, ...]:
    """Return the parts of the key that a state class declares: nearly always it is one.

    Raises:
        DeclarationError: there is none.
    """
    declared = getattr(cls, "state_key", None)
    if declared is None:
        raise DeclarationError(
            f"{source_location(cls)} has no key. Declare whose state it is: class {cls.__name__}(…, key=AccountId)."
        )
    return key_parts(declared)


@functools.cache
def _fingerprint(cls: Any) -> str:
    return fingerprint(cls, [part for step in sorted(fold_of(cls).steps.items()) for part in step])


def check_named(cls: Any, parts: tuple[Part, ...], event: type[Event], method: Callable[..., Any]) -> None:
    """Check that an event names whose state it changes, by identities of the key's own types.

    Raises:
        DeclarationError: it does not.
    """
    fields = tag_fields(event)
    missing = [part for part in parts if part.tag not in [field.tag for field in fields]]
    if missing:
        raise DeclarationError(
            f"{source_location(method)}: {event.__name__} has no field with the tag {missing[0].tag.name!r}, so it would "
            f"never reach a {cls.__name__}. {_cure(cls, parts, missing)}"
        )
    for part, field in product(parts, fields):
        if field.tag == part.tag and field.kind is not part.kind:
            raise DeclarationError(
                f"{event.__module__}.{event.__qualname__}.{field.field} is of type {field.kind.__name__}, and the key of "
                f"{source_location(cls)}, which has the same tag {field.tag.name!r}, is of type {part.kind.__name__}. "
                "Declare one identity, and use it in both."
            )


def _cure(cls: Any, parts: tuple[Part, ...], missing: list[Part]) -> str:
    if len(parts) == 1:
        return "Annotate the field that names one, or write a @project for events that name several."
    known = next((part.name for part in parts if part not in missing), parts[0].name)
    return (
        f"Only {Key(parts).name} together name one. Annotate the field that is missing. Or, if the "
        f"event is about all rows of a part, fill {cls.__name__} by a @project({cls.__name__}) and without @evolve, and there "
        f"say which: rows.delete_where({cls.__name__}, {cls.__name__}.c.{known} == event.{known})."
    )


def check_returned(method: Callable[..., Any], cls: type) -> None:
    """Check that a step promises the next state: Self, its class or a base of it, None where a row may be deleted.

    Raises:
        DeclarationError: it is annotated to return something else.
    """
    for kind in alternatives(type_hints(method).get("return", Self)) or (None,):
        if (
            isinstance(kind, TypeVar)
            or kind in (Self, Any, type(None))
            or (isinstance(kind, type) and issubclass(cls, kind))
        ):
            continue
        raise DeclarationError(
            f"{source_location(method)} evolves {cls.__name__}, and is annotated to return {kind!r}. It returns the next "
            "state: -> Self."
        )


def _initial(cls: Callable[..., S], key: Any) -> S:
    return cls(key=key)


def check_defaults(cls: Any) -> None:
    """Check that a state can begin with its key alone.

    Raises:
        DeclarationError: another field has no default.
    """
    for field in msgspec.structs.fields(cls):
        if field.required and field.name != "key":
            raise DeclarationError(
                f"{source_location(cls)}: the field {field.name!r} needs a default, as a state exists before its first event."
            )
