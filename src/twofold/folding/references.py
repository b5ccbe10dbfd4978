"""What the code of a function names and does not define: globals, cells, what modules have, what it imports itself."""

from __future__ import annotations

import builtins
import dis
from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import takewhile
from types import CodeType, FunctionType, ModuleType
from typing import Any

MISSING = object()
"""The value of a name that stands for nothing yet."""

_GLOBAL = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_ATTRIBUTE = frozenset({"LOAD_ATTR", "LOAD_METHOD"})


def references(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield the names that a function's code uses, those of the functions within it included, with what they stand for now.

    Of a module it is what is named in it, ``helpers.weight``; a module that is used as a value is yielded itself.
    """
    yield from _References(function).of(function.__code__)


class _References:
    def __init__(self, function: FunctionType) -> None:
        self._globals = function.__globals__
        self._cells = _contents(function)
        self._imported: dict[str, ModuleType] = {}

    def of(self, code: CodeType) -> Iterator[tuple[str, Any]]:
        instructions = [*dis.get_instructions(code)]
        for at, each in enumerate(instructions):
            if each.opname == "IMPORT_NAME":
                yield from self._importing(instructions, at)
            elif each.argval in self._imported and each.opname.startswith("LOAD_"):
                yield _within(self._imported[each.argval], each.argval, instructions[at + 1 :])
            elif each.opname in _GLOBAL or (each.opcode in dis.hasfree and each.argval in self._cells):
                yield _within(self._value(each.argval), each.argval, instructions[at + 1 :])
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                yield from self.of(constant)

    def _value(self, name: str) -> Any:
        for names in (self._cells, self._globals, vars(builtins)):
            if name in names:
                return names[name]
        return MISSING

    def _importing(self, instructions: list[dis.Instruction], at: int) -> Iterator[tuple[str, Any]]:
        """Follow an import within the function: a module is remembered under its local name, all else is yielded."""
        name = instructions[at].argval
        module = _module(name, instructions[at - 2].argval, self._globals)
        names = 0
        for before, each in zip(instructions[at:], instructions[at + 1 :], strict=False):
            if before.opname == "IMPORT_FROM":
                names += 1
                yield from self._bind(f"{name}.{before.argval}", _attribute(module, before.argval), each)
            elif each.opname != "IMPORT_FROM" and not before.opname.startswith(("IMPORT_NAME", "STORE_")):
                break
        if not names:
            top = module if isinstance(module, ModuleType) else None
            yield from self._bind(name, _top(top, name), instructions[at + 1])

    def _bind(self, name: str, value: Any, stored: dis.Instruction) -> Iterator[tuple[str, Any]]:
        if isinstance(value, ModuleType) and stored.opname.startswith("STORE_"):
            self._imported[stored.argval] = value
        else:
            yield name, value


def _contents(function: FunctionType) -> Mapping[str, Any]:
    cells: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            cells[name] = cell.cell_contents
        except ValueError:
            cells[name] = MISSING
    return cells


def _within(value: Any, name: str, following: list[dis.Instruction]) -> tuple[str, Any]:
    """Go on from a module to what is named in it."""
    for each in takewhile(lambda each: each.opname in _ATTRIBUTE, following):
        if not isinstance(value, ModuleType):
            break
        value, name = _attribute(value, each.argval), f"{name}.{each.argval}"
    return name, value


def _attribute(module: Any, name: str) -> Any:
    try:
        return getattr(module, name)
    except AttributeError:
        return MISSING


def _module(name: str, level: int, namespace: Mapping[str, Any]) -> Any:
    try:
        return import_module("." * level + name, namespace.get("__package__"))
    except ImportError:
        return MISSING


def _top(module: ModuleType | None, name: str) -> Any:
    """Return what ``import a.b`` binds: ``a``."""
    return MISSING if module is None else import_module(name.partition(".")[0])
