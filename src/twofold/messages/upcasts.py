"""Upcasts: how what was stored of an old version of an event becomes what its class reads today, step by step."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, cast

from twofold.errors import DeclarationError
from twofold.messages.locations import source_location
from twofold.messages.message import Event

Upcast = Callable[[dict[str, Any]], dict[str, Any]]


def upcast(version: int) -> Callable[[Upcast], staticmethod[[dict[str, Any]], dict[str, Any]]]:
    """Declare how stored data of ``version`` becomes data of the next one.

    Events are kept as they were written; they are brought up to date, step by step, when they are read.

    >>> class Deposited(Event, version=2):
    ...     account: str
    ...     cents: int
    ...     @upcast(1)
    ...     def whole_units_became_cents(data):
    ...         return {"account": data["account"], "cents": data["amount"] * 100}
    >>> from twofold.messages import reader
    >>> reader(Deposited, 1)(b'{"account":"ann","amount":5}')
    Deposited(account='ann', cents=500)
    """

    def mark(function: Upcast) -> staticmethod[[dict[str, Any]], dict[str, Any]]:
        if type(version) is not int or not inspect.isfunction(function) or inspect.iscoroutinefunction(function):
            raise DeclarationError(
                f"{source_location(function)}: write @upcast(1), with the version that it takes, before a plain `def`; it can "
                "be neither async nor a method."
            )
        takes = inspect.signature(function).parameters.values()
        if len([each for each in takes if each.default is each.empty]) != 1 or inspect.isgeneratorfunction(function):
            raise DeclarationError(
                f"{source_location(function)}: an upcast takes the fields of the old version, as a dict, and nothing else, "
                "and returns those of the next: def …(data): return {**data, 'currency': 'EUR'}."
            )
        function.__upcasts__ = version  # type: ignore[attr-defined]
        return staticmethod(function)

    return mark


def upcasts(event: type[Event], version: int = 1) -> list[Upcast]:
    """Return the steps that stored data takes from a version to the event's own.

    Raises:
        DeclarationError: one is missing.
    """
    return [_upcast_from(event, each) for each in range(version, event.message_version)]


def _upcast_from(event: type[Event], version: int) -> Upcast:
    for owner in event.__mro__:
        for member in vars(owner).values():
            function = getattr(member, "__func__", None)
            if getattr(function, "__upcasts__", None) == version:
                return cast("Upcast", function)
    raise DeclarationError(
        f"{event.__module__}.{event.__qualname__} is version {event.message_version} and has no @upcast({version}): say how "
        f"data of version {version} becomes data of version {version + 1}, in {source_location(event)}."
    )
