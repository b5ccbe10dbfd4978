"""Reading declarations: which methods are marked, what their parameters are annotated with, where they stand."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, Union, get_args, get_origin

from twofold.errors import DeclarationError
from twofold.messages import type_hints

S = TypeVar("S")


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
            f"{source_location(function)}: annotate its parameter {wanted!r} with the {base.__name__} that it handles; "
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


def source_location(function: Callable[..., Any]) -> str:
    """Return where a function stands, for a person who has to go there; of something else, what it is."""
    code = getattr(function, "__code__", None)
    if code is None:
        return repr(function)
    return f"{function.__module__}.{function.__qualname__} ({code.co_filename}:{code.co_firstlineno})"
