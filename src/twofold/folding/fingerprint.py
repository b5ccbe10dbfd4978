"""A name for the code that folds: what was folded by other code is not taken for what this code would fold."""

from __future__ import annotations

import hashlib
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, get_args

import msgspec

from twofold.messages import type_hints


def fingerprint(cls: type, steps: Iterable[Callable[..., Any]]) -> str:
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
