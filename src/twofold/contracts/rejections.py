"""How a decision may refuse its command, as far as its code says it."""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType
from typing import Any

from twofold.commands import Decider
from twofold.errors import Rejected
from twofold.folding.origin import library_of
from twofold.folding.references import references


def rejections(decider: Decider) -> list[type[Rejected]]:
    """Return the rejections that a decision's code names, and that of what it calls within the program, by name.

    >>> from examples.bank import bank
    >>> [(each.name, [found.__name__ for found in rejections(each)]) for each in bank.declaration.deciders[:2]]
    [('Account.open', ['AlreadyOpen']), ('Account.deposit', [])]
    """
    found: dict[str, type[Rejected]] = {}
    for value in _reached(decider):
        if isinstance(value, type) and issubclass(value, Rejected):
            found[value.__name__] = value
    return [found[name] for name in sorted(found)]


def _reached(decider: Decider) -> Iterator[Any]:
    """Yield what the code of a decision names, and what that of functions does which it may call."""
    home = decider.command.__module__.partition(".")[0]
    states = [boundary.fold.state for boundary in decider.boundaries]
    seen: set[FunctionType] = set()
    waiting: list[Any] = [decider.decide]
    while waiting:
        function = waiting.pop()
        if not isinstance(function, FunctionType) or function in seen:
            continue
        seen.add(function)
        values = [value for _, value in references(function)]
        values += [getattr(state, name, None) for state in states for name in function.__code__.co_names]
        yield from values
        waiting += [each for each in values if _is_own(each, home)]


def _is_own(value: Any, home: str) -> bool:
    """Say whether something is a function of the program, or what makes a decider of one."""
    module = getattr(value, "__module__", None) or ""
    return isinstance(value, FunctionType) and (module == Decider.__module__ or not library_of(module, home))
