"""Checks of what a service is declared with: lists of the right things, each once, and all the views that are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from twofold.declaration.names import named_by
from twofold.errors import DeclarationError
from twofold.folding import marked
from twofold.messages import Command, service_name_flaw, source_location
from twofold.processes import Schedule
from twofold.views import Projection, View

_DECORATORS: dict[type, str] = {Projection: "@project", Schedule: "@every"}
"""What makes something of a function that is listed as it is."""


def listed(service: str, parameter: str, given: Any, base: type | None = None) -> tuple[Any, ...]:
    """Return the elements of a list that a service is declared with.

    Raises:
        DeclarationError: it is no list, or has what does not belong into it, or has something twice.
    """
    if isinstance(given, (str, bytes, Mapping, type)) or not isinstance(given, Iterable):
        raise DeclarationError(
            f"Service({service!r}): {parameter}= takes a list, and got {source_location(given)}. Write {parameter}=[…]."
        )
    elements = tuple(given)
    for number, each in enumerate(elements):
        where = partial(source_location, getattr(each, "function", each))
        if any(each is other for other in elements[:number]):
            raise DeclarationError(f"Service({service!r}): {parameter}=[…] has {where()} twice. Remove one of them.")
        if base is not None and base in _DECORATORS and not isinstance(each, base):
            raise DeclarationError(
                f"Service({service!r}): {parameter}=[…] has {where()}, which has no {_DECORATORS[base]}."
            )
        if base is not None and base not in _DECORATORS and not (isinstance(each, type) and issubclass(each, base)):
            raise DeclarationError(
                f"Service({service!r}): {parameter}=[…] takes classes derived from {base.__name__}, and {where()} is none."
            )
    return elements


def check_unique(service: str, verb: str, named: Iterable[tuple[str, str]]) -> None:
    """Check that a name is taken once.

    Raises:
        DeclarationError: two have it.
    """
    seen: dict[str, str] = {}
    for name, who in named:
        if name in seen:
            raise DeclarationError(
                f"Service({service!r}): both {seen[name]} and {who} {verb} {name}. Remove one of them."
            )
        seen[name] = who


def check_views(service: str, views: Sequence[type[View]], readers: Iterable[Callable[..., Any]]) -> None:
    """Check that views decide nothing, and that all are declared that answers and projections name.

    Raises:
        DeclarationError: they do, or one is not.
    """
    for view in views:
        for decision in marked(view, "decide"):
            raise DeclarationError(
                f"{source_location(decision)} decides, and a view is only read. Write it in an Aggregate."
            )
    for function in readers:
        for value in named_by(function):
            if isinstance(value, type) and issubclass(value, View) and not _is_declared(value, views):
                raise DeclarationError(
                    f"{source_location(function)} names the view {source_location(value)}, which Service({service!r}) does "
                    "not declare, so that nothing fills it. Add it to views=[…]."
                )


def check_commands_between(
    service: str, sends: Iterable[type[Command]], takes_from: Iterable[Any], decides: bool
) -> None:
    """Check which commands a service sends to others, and from whom it takes some.

    Raises:
        DeclarationError: one is not for another service; or it takes some from what is none, or decides on none.
    """
    for command in sends:
        if command.message_service in ("", service):
            raise DeclarationError(
                f"Service({service!r}) sends {source_location(command)}, which does not say what other service decides on it: "
                f"class {command.__name__}(Command, service='…'). What it decides on itself is sent without being listed."
            )
    for sender in takes_from:
        if flaw := service_name_flaw(sender):
            raise DeclarationError(f"Service({service!r}): takes_commands_from=[…] has {sender!r}: {flaw}")
        if sender == service or not decides:
            why = "which is itself" if sender == service else "and decides on none"
            raise DeclarationError(f"Service({service!r}) takes commands from {sender!r}, {why}. Remove that.")


def _is_declared(view: type[View], views: Iterable[type[View]]) -> bool:
    """Say whether a view is declared, or is what declared ones have in common."""
    return any(issubclass(each, view) for each in views)
