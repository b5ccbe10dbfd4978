"""Reading declarations: which methods are marked, what their parameters are annotated with, where they stand."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterator, Sequence
from inspect import Parameter
from typing import Any, TypeVar, Union, get_args, get_origin

from twofold.errors import DeclarationError
from twofold.messages import Command, Event, Query, source_location, type_hints

S = TypeVar("S")
F = TypeVar("F", bound=Callable[..., Any])

_BASES = (Command, Event, Query)
_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_VARIABLE = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
_MARK = "__twofold__"


def mark(function: F, role: str) -> F:
    """Mark a plain function as something that the library calls.

    Raises:
        DeclarationError: it is no function, or an async one.
    """
    if not inspect.isfunction(function):
        raise DeclarationError(
            f"@{role} stands right before a `def`, without parentheses and below any other decorator; found "
            f"{source_location(function)}."
        )
    check_waits_for_nothing(function, role)
    setattr(function, _MARK, role)
    return function


def check_waits_for_nothing(function: Callable[..., Any], role: str) -> None:
    """Check that a decision or a step is not async, nor is what a decorator above its mark has made of it.

    Raises:
        DeclarationError: it is.
    """
    if is_async(function):
        raise DeclarationError(
            f"{source_location(function)} has @{role} and is async. It has to be a plain `def`: it works on what it is given, "
            "and waits for nothing. What it has to know comes in the command or the event."
        )


def is_async(function: Callable[..., Any]) -> bool:
    """Say whether a function, or what it is wrapped round, is async."""
    return any(
        inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each)
        for each in (function, inspect.unwrap(function))
    )


def check_reads(function: Callable[..., Any], what: str) -> None:
    """Check that a function which works on a database is async, and returns once.

    Raises:
        DeclarationError: it does not.
    """
    if not inspect.isfunction(function) or not is_async(function):
        raise DeclarationError(
            f"{source_location(function)}: {what} is an async function, as it reads from a database. Write `async def`."
        )
    if inspect.isasyncgenfunction(function) or inspect.isasyncgenfunction(inspect.unwrap(function)):
        raise DeclarationError(f"{source_location(function)}: {what} does not yield. Let it end with a `return`.")


def role_of(function: Any) -> str:
    """Return what a function is marked as, or ''."""
    return str(getattr(function, _MARK, ""))


def marked(cls: type, role: str) -> Iterator[Callable[..., Any]]:
    """Yield a class's methods with a mark, the base classes' first; an overridden one is yielded once.

    Raises:
        DeclarationError: one is not called like a method, or hides a marked one without a mark of its own.
    """
    names = dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base))
    for name in names:
        versions = [vars(base)[name] for base in cls.__mro__ if name in vars(base)]
        if any(role_of(_within(each)) == role for each in versions):
            yield _method(cls, name, versions, role)


def _within(member: Any) -> Any:
    """Return the function in a static method, a property or the like."""
    for attribute in ("__func__", "fget", "func"):
        member = getattr(member, attribute, member)
    return member


def _method(cls: type, name: str, versions: Sequence[Any], role: str) -> Callable[..., Any]:
    method = versions[0]
    if role_of(_within(method)) != role:
        hidden = next(each for each in versions if role_of(_within(each)) == role)
        raise DeclarationError(
            f"{source_location(cls)}: its {name!r} hides {source_location(_within(hidden))}, which has @{role}. Give it "
            f"@{role} too, or another name."
        )
    if not inspect.isfunction(method):
        raise DeclarationError(
            f"{source_location(_within(method))} has @{role} and is a {type(method).__name__}. Make it a plain method."
        )
    check_waits_for_nothing(method, role)
    return method


def annotated(function: Callable[..., Any], parameter: int, base: type[S]) -> tuple[type[S], ...]:
    """Return the classes that a parameter is annotated with, all of them derived from ``base``.

    Raises:
        DeclarationError: the parameter is missing or annotated with something else.
    """
    names = [each.name for each in parameters(function)]
    hint = type_hints(function).get(names[parameter]) if parameter < len(names) else None
    options = alternatives(hint)
    if not options or not all(isinstance(option, type) and issubclass(option, base) for option in options):
        wanted = names[parameter] if parameter < len(names) else base.__name__.lower()
        raise DeclarationError(
            f"{source_location(function)}: annotate its parameter {wanted!r} with the {base.__name__} that it handles; "
            f"found {hint!r}."
        )
    for option in options:
        if option in _BASES:
            raise DeclarationError(
                f"{source_location(function)}: {option.__name__} stands for no {option.__name__.lower()} of its own. Annotate "
                f"the parameter {names[parameter]!r} with those that it handles: Opened | Deposited."
            )
    return options


@functools.cache
def parameters(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    """Return a function's parameters, in order; those of the function inside, if it is wrapped by `functools.wraps`.

    Raises:
        DeclarationError: it takes any number of them.
    """
    found = tuple(inspect.signature(function).parameters.values())
    for each in found:
        if each.kind in _VARIABLE:
            raise DeclarationError(
                f"{source_location(function)} takes any parameters by {each}. Name them, as their annotations say what it "
                "handles; in a decorator of your own, use functools.wraps."
            )
    return found


def check_takes(function: Callable[..., Any], *wanted: str) -> None:
    """Check that a function can be called with just these arguments, by position.

    Raises:
        DeclarationError: it takes fewer, more, or some by keyword alone.
    """
    found = parameters(function)
    by_position = [each for each in found if each.kind in _POSITIONAL]
    needless = [each.name for each in found if each not in by_position[: len(wanted)] and each.default is each.empty]
    if len(by_position) < len(wanted) or needless:
        has = ", ".join(each.name for each in found) or "nothing"
        raise DeclarationError(
            f"{source_location(function)} is called as {function.__name__}({', '.join(wanted)}), and takes {has}. Give it "
            "just these parameters."
        )


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
