"""Keyed folds: how events become a state. Aggregates, processes and views are this one shape."""

from __future__ import annotations

import functools
import hashlib
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Union, get_args, get_origin

import msgspec
from typing_extensions import dataclass_transform

from twofold.errors import DeclarationError, LogCorrupted
from twofold.log.model import Entry
from twofold.messages import Event, Tag, reader, tag_fields, tag_of, type_hints

S = TypeVar("S")
F = TypeVar("F", bound=Callable[..., Any])


class StateType(msgspec.StructMeta):
    """The metaclass of states: it takes the key, the version and the like as class keywords."""

    state_key: Any
    state_version: int

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
        if key is not None:
            if tag_of(key) is None:
                raise DeclarationError(
                    f"{class_name}: key={key!r} is not an identity. Make it one: "
                    "AccountId = Annotated[str, Tag('account')]."
                )
            bases = tuple([_keyed(base, key) if isinstance(base, StateType) else base for base in bases])
        config.setdefault("frozen", True)
        config.setdefault("kw_only", True)
        cls = super().__new__(mcls, class_name, bases, namespace, **config)
        if key is not None:
            cls.state_key = key
        cls.state_version = version
        return cls


def _keyed(base: StateType, key: Any) -> type:
    """Return the base with the key's own type, so that columns, schemas and decoding know it."""
    return type(base)(base.__name__, (base,), {"__annotations__": {"key": key}, "__module__": base.__module__})


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
    """Mark a method of a state as the step for the event that its parameter is annotated with: it returns the next state."""
    method.__twofold__ = "evolve"  # type: ignore[attr-defined]
    return method


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
    tag: Tag
    initial: Callable[[Any], S]
    steps: Mapping[str, tuple[type[Event], Callable[[S, Any], S]]]
    state: Any = None
    fingerprint: str = ""

    @property
    def types(self) -> tuple[str, ...]:
        """The stable names of the events that change the state."""
        return tuple(sorted(self.steps))

    def apply(self, state: S, event: Event) -> S:
        """Return the state after an event; one that the fold does not know changes nothing.

        Raises:
            TypeError: the step returned nothing.
        """
        step = self.steps.get(type(event).message_name)
        return state if step is None else self._checked(step[1](state, event), step[0])

    def _checked(self, state: S, kind: type[Event]) -> S:
        if state is None:
            raise TypeError(f"{self.name} evolves {kind.__name__} to None: is there a `return` missing in the @evolve?")
        return state

    def replay(self, state: S, events: Iterable[Entry]) -> S:
        """Return the state after stored events, all of types that the fold knows.

        Raises:
            LogCorrupted: a stored event does not fit its class.
        """
        position = 0
        try:
            for each in events:
                position = each.position
                kind, step = self.steps[each.type]
                state = step(state, reader(kind, each.version)(each.data))
                if state is None:
                    self._checked(state, kind)
        except msgspec.DecodeError as error:
            raise LogCorrupted(
                f"The event at position {position} does not fit {kind.__module__}.{kind.__qualname__}: {error}. "
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
    where = f"{cls.__module__}.{cls.__qualname__}"
    tag = tag_of(getattr(cls, "state_key", None))
    if tag is None:
        raise DeclarationError(
            f"{where} has no key. Declare whose state it is: class {cls.__name__}(…, key=AccountId)."
        )
    _check_defaults(cls, where)
    steps: dict[str, tuple[type[Event], Callable[[S, Any], S]]] = {}
    for method in marked(cls, "evolve"):
        for event in annotated(method, 1, Event):
            if event.message_name in steps:
                raise DeclarationError(f"{place(method)}: {cls.__name__} evolves {event.message_name} twice.")
            if not any(field.tag == tag for field in tag_fields(event)):
                raise DeclarationError(
                    f"{place(method)}: {event.__name__} has no field with the tag {tag.name!r}, so it would never reach a "
                    f"{cls.__name__}. Annotate the field that names one, or write a @project for events that name several."
                )
            steps[event.message_name] = (event, method)
    if not steps:
        raise DeclarationError(
            f"{where} evolves no event. Add a method: @evolve def opened(self, event: Opened) -> Self."
        )
    fingerprint = _fingerprint(cls, [method for _, method in steps.values()])
    return Fold(cls.__name__, tag, functools.partial(_initial, cls), steps, cls, fingerprint)


def _initial(cls: Callable[..., S], key: Any) -> S:
    return cls(key=key)


def _check_defaults(cls: Any, where: str) -> None:
    for field in msgspec.structs.fields(cls):
        if field.required and field.name != "key":
            raise DeclarationError(
                f"{where}: the field {field.name!r} needs a default, as a state exists before its first event."
            )


def _fingerprint(cls: type, steps: Iterable[Callable[..., Any]]) -> str:
    """Name the shape of a state and the code of its steps: what was folded by another shape or code is not used again.

    It is the same in every process, and says nothing of functions that the steps call: that is what ``version=`` is for.
    """
    digest = hashlib.blake2s(digest_size=8)
    digest.update(f"{cls.state_version}".encode())  # type: ignore[attr-defined]
    for line in _shape(cls, set()):
        digest.update(line.encode())
    for step in steps:
        for line in _code(step.__code__):
            digest.update(line.encode())
    return digest.hexdigest()


def _shape(kind: Any, seen: set[Any]) -> Iterator[str]:
    """Describe the fields of a struct and of the structs within it, with the values that they start from."""
    if kind in seen:
        return
    seen.add(kind)
    hints = type_hints(kind)
    for field in msgspec.structs.fields(kind):
        default = "" if field.default is msgspec.NODEFAULT else _constant(field.default)
        yield f"{field.encode_name}: {hints[field.name]} = {default}"
        for nested in _structs_in(hints[field.name]):
            yield from _shape(nested, seen)


def _structs_in(hint: Any) -> Iterator[Any]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
    for part in get_args(hint):
        yield from _structs_in(part)


def _code(code: types.CodeType) -> Iterator[str]:
    yield f"{code.co_code.hex()} {code.co_names}"
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _code(constant)
        else:
            yield _constant(constant)


def _constant(value: Any) -> str:
    """Describe a value the same way in every process, in which sets have orders of their own."""
    if isinstance(value, (set, frozenset)):
        return f"{{{sorted(map(_constant, value))}}}"
    if isinstance(value, tuple):
        return f"({[*map(_constant, value)]})"
    return f"{type(value).__name__} {value!r}"


# Reading declarations: which methods are marked, what their parameters are annotated with, where they stand.


def marked(cls: type, role: str) -> Iterator[Callable[..., Any]]:
    """Yield a class's methods with a mark, the base classes' first; an overridden one is yielded once."""
    names = dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base))
    for name in names:
        method = getattr(cls, name, None)
        if getattr(method, "__twofold__", None) == role:
            yield method  # type: ignore[misc]


def annotated(function: Callable[..., Any], parameter: int, base: type[S]) -> tuple[type[S], ...]:
    """Return the classes that a parameter is annotated with, all of them derived from ``base``.

    Raises:
        DeclarationError: the parameter is missing or annotated with something else.
    """
    names = parameters(function)
    hint = type_hints(function).get(names[parameter]) if parameter < len(names) else None
    options = alternatives(hint)
    if not options or not all(isinstance(option, type) and issubclass(option, base) for option in options):
        wanted = names[parameter] if parameter < len(names) else "event"
        raise DeclarationError(
            f"{place(function)}: annotate its parameter {wanted!r} with the {base.__name__} that it handles; "
            f"found {hint!r}."
        )
    return options


def parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of a function's parameters, in order."""
    code = function.__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the one type that is none.

    >>> alternatives(int | str)
    (<class 'int'>, <class 'str'>)
    """
    if hint is None or hint is type(None):
        return ()
    if get_origin(hint) in (Union, types.UnionType):
        return get_args(hint)
    return (hint,)


def place(function: Callable[..., Any]) -> str:
    """Return where a function stands, for a person who has to go there; of something else, what it is."""
    code = getattr(function, "__code__", None)
    if code is None:
        return repr(function)
    return f"{function.__module__}.{function.__qualname__} ({code.co_filename}:{code.co_firstlineno})"
