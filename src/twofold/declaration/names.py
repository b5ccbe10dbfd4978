"""What a function's code names: for what it reads, where no annotation says it."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any


def named_by(function: Callable[..., Any]) -> Iterator[Any]:
    """Yield the values that a function's code names, and those that functions beside it name for it."""
    return _named(function, set())


def _named(function: Callable[..., Any], seen: set[types.CodeType]) -> Iterator[Any]:
    code = getattr(function, "__code__", None)
    if code is None or code in seen:
        return
    seen.add(code)
    known, names = _known(function), list(_names(code))
    for name in names:
        value = known.get(name)
        yield value
        if isinstance(value, types.ModuleType):
            yield from [vars(value)[each] for each in names if each in vars(value)]
        if isinstance(value, types.FunctionType) and value.__module__ == function.__module__:
            yield from _named(value, seen)
    if wrapped := getattr(function, "__wrapped__", None):
        yield from _named(wrapped, seen)


def _known(function: Callable[..., Any]) -> Mapping[str, Any]:
    """Return what names mean in a function: what it closes over, and the globals of its module."""
    inner = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            inner[name] = cell.cell_contents
        except ValueError:
            # What is defined further down is not there yet.
            continue
    return {**function.__globals__, **inner}


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    yield from code.co_freevars
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
