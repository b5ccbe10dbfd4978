"""Values of a type, made by chance: messages that fit their constraints, about a few identities that collide."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any, Literal, NotRequired, Required, TypeVar, Union, get_args, get_origin, is_typeddict

import msgspec
from msgspec import inspect

from twofold.errors import DeclarationError
from twofold.messages import source_location, tag_of, type_hints, unmarked
from twofold.simulation.chance import Chance
from twofold.simulation.scalars import MAKERS, options_of

M = TypeVar("M")

_MANY = 3
_DEEPEST = 3
"""So many structs may be within each other; further within, there is nothing that need not be."""
_TRIES = 20
_OF_ANYTHING: Mapping[Any, Any] = {
    list: list[Any],
    tuple: tuple[Any, ...],
    dict: dict[str, Any],
    set: set[Any],
    frozenset: frozenset[Any],
}


class Maker:
    """Makes values of types. Of each identity there are ``identities``, so that different commands are about the same.

    ``named`` are types of identities by the names of fields: a query may well ask for one by a plain type. ``known`` has the
    texts of identities that there are already, by the names of their tags; '' stands for a new one.
    """

    def __init__(
        self,
        chance: Chance,
        identities: int = 4,
        named: Mapping[str, Any] = {},
        known: Mapping[str, Sequence[str]] = {},
    ) -> None:
        self._chance = chance
        self._identities = identities
        self._named = named
        self._known = known
        self._depth = 0

    def message(self, cls: type[M], /, **given: Any) -> M:
        """Return a message or another struct, with some fields given. Now and then one that has a default is left out.

        Raises:
            DeclarationError: a field is of a type, or under a pattern, of which nothing can be made; the text names it.
        """
        values = dict(given)
        record: Any = cls
        self._depth += 1
        for name, hint, is_required in _fields(record):
            if name in given:
                continue
            if is_required or (self._depth <= _DEEPEST and not self._chance.happens(0.3)):
                try:
                    values[name] = self._value(self._as_named(name, hint))
                except TypeError as error:
                    raise DeclarationError(f"{source_location(cls)}: no {name!r} can be made up: {error}.") from error
        self._depth -= 1
        made: M = (get_origin(record) or record)(**values)
        return made

    def _as_named(self, name: str, hint: Any) -> Any:
        """Return the type of the identity that a field is called after, if it is a plain value of that type."""
        named = self._named.get(name)
        return named if named is not None and hint in (unmarked(named), unmarked(named) | None) else hint

    def _value(self, hint: Any) -> Any:
        if tag_of(hint) is not None:
            return self._identity(hint)
        plain = unmarked(hint)
        plain = _OF_ANYTHING.get(plain, plain) if isinstance(plain, type) else plain
        origin, parts = get_origin(plain), get_args(plain)
        if origin in (Union, types.UnionType):
            flat = [part for part in parts if not _is_record(unmarked(part))]
            return self._value(self._chance.pick(flat if flat and self._depth > _DEEPEST else parts))
        if origin is Literal:
            return self._chance.pick(parts)
        if _is_record(origin or plain):
            return self.message(plain)
        if origin is not None:
            return self._collection(hint, origin, parts)
        return self._leaf(hint)

    def _identity(self, hint: Any) -> Any:
        """Return one of the few values that identities of a type have here."""
        tag, number = tag_of(hint), self._chance.below(self._identities)
        if type(None) in get_args(unmarked(hint)) and self._chance.happens(0.2):
            return None
        if tag is not None and (known := self._known.get(tag.name, ())) and known[number]:
            with suppress(msgspec.ValidationError):
                return msgspec.convert(known[number], hint, strict=False)
        kind = _plain(hint)
        if isinstance(kind, inspect.StrType) and kind == inspect.StrType():
            return f"{tag and tag.name}-{number + 1}"
        if options := options_of(kind):
            return options[number % len(options)]
        return Maker(Chance(number, f"{tag}"))._leaf(hint)

    def _collection(self, hint: Any, origin: type, parts: tuple[Any, ...]) -> Any:
        if origin is tuple and not (len(parts) == 2 and parts[1] is ...):
            return tuple([self._value(part) for part in parts])
        low, high = _length(hint, 0 if self._depth > _DEEPEST else _MANY)
        count = low + self._chance.below(high - low + 1)
        if issubclass(origin, Mapping):
            return {key: self._value(parts[1]) for key in self._different(parts[0], low, count)}
        if issubclass(origin, AbstractSet):
            return (frozenset if origin is frozenset else set)(self._different(parts[0], low, count))
        made = [self._value(parts[0]) for _ in range(count)]
        return tuple(made) if origin is tuple else made

    def _different(self, hint: Any, low: int, count: int) -> list[Any]:
        """Return so many different values of a type; fewer, if there are no more than that, but not less than ``low``."""
        found: dict[Any, None] = {}
        for _ in range(_TRIES * count):
            if len(found) < count:
                found[self._value(hint)] = None
        if len(found) < low:
            raise TypeError(f"there are not {low} different values of {hint}, it seems")
        return [*found]

    def _leaf(self, hint: Any) -> Any:
        kind = _plain(hint)
        make = MAKERS.get(type(kind))
        if make is None:
            raise TypeError(f"nothing is known of {unmarked(hint)!r}")
        return make(self._chance, kind)


@functools.cache
def _fields(cls: Any) -> list[tuple[str, Any, bool]]:
    """Return the fields of a struct, a dataclass or the like: each one's name, its type, and whether it has no default."""
    kind: Any = inspect.type_info(cls)
    origin = get_origin(cls) or cls
    hints = type_hints(origin)
    stand_for = dict(zip(getattr(origin, "__parameters__", ()), get_args(cls), strict=False))
    return [(each.name, _with(hints[each.name], stand_for), each.required) for each in kind.fields]


def _with(hint: Any, stand_for: Mapping[Any, Any]) -> Any:
    """Return the type of a field, with others in the place of its type variables."""
    if get_origin(hint) in (Required, NotRequired):
        (hint,) = get_args(hint)
    if isinstance(hint, TypeVar):
        return stand_for.get(hint, Any)
    variables = getattr(hint, "__parameters__", ())
    return hint[tuple([stand_for.get(each, Any) for each in variables])] if variables else hint


def _is_record(kind: Any) -> bool:
    """Say whether values of a type have fields."""
    return isinstance(kind, type) and (
        issubclass(kind, msgspec.Struct)
        or dataclasses.is_dataclass(kind)
        or is_typeddict(kind)
        or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
    )


def _known(hint: Any) -> inspect.Type:
    """Return what is known of a type: found once, unless it is annotated with what cannot be looked up."""
    try:
        return _found(hint)
    except TypeError:
        return inspect.type_info(hint)


@functools.cache
def _found(hint: Any) -> inspect.Type:
    return inspect.type_info(hint)


def _plain(hint: Any) -> inspect.Type:
    """Return what is known of a type, without None and without what only describes it."""
    kind = _known(hint)
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        kind = next(each for each in kind.types if not isinstance(each, inspect.NoneType))
    return kind


def _length(hint: Any, most: int) -> tuple[int, int]:
    """Return how many values a collection may have, and has at the most."""
    kind = _known(hint)
    low = getattr(kind, "min_length", None) or 0
    high = getattr(kind, "max_length", None)
    return low, max(low, most if high is None else min(high, most))
