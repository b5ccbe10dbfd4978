"""What happened in a simulated run, in order, as people read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec


class Happening(msgspec.Struct, frozen=True):
    """Something that happened: when, in seconds of virtual time, in which process, and what."""

    at_seconds: float
    process: str
    what: str

    def __str__(self) -> str:
        return f"{self.at_seconds:12.6f}  {self.process:<12}  {self.what}"


def shown(value: Any) -> str:
    """Return what `repr` does, but with sets in an order that does not depend on how this process hashes texts.

    >>> shown(({"lamps": frozenset({"b", "a"})}, 1))
    "({'lamps': frozenset({'a', 'b'})}, 1)"
    """
    text = repr(value)
    if "{" not in text:
        return text
    if isinstance(value, msgspec.Struct):
        fields = [f"{name}={shown(getattr(value, name))}" for name in value.__struct_fields__]
        return f"{type(value).__name__}({', '.join(fields)})"
    if isinstance(value, dict):
        return f"{{{', '.join([f'{shown(key)}: {shown(each)}' for key, each in value.items()])}}}"
    if type(value) in _SHELLS:
        parts = [*map(shown, value)]
        begin, end = _SHELLS[type(value)]
        return f"{begin}{', '.join(sorted(parts) if isinstance(value, (set, frozenset)) else parts)}{end}"
    return text


_SHELLS: dict[type, tuple[str, str]] = {
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
    list: ("[", "]"),
    tuple: ("(", ")"),
}


class Trace:
    """The happenings of a run, of which there are the same for the same seed."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._has_ended = False
        self.happenings: list[Happening] = []

    def tell(self, process: str, what: str) -> None:
        """Take note of something that happens now."""
        if not self._has_ended:
            self.happenings.append(Happening(self._time(), process, what))

    def end(self) -> None:
        """Take note of nothing more, and let go of the world: what has happened in it outlives it."""
        self._has_ended = True
        self._time = float

    @property
    def seconds(self) -> float:
        """When the last thing happened."""
        return self.happenings[-1].at_seconds if self.happenings else 0.0

    def __str__(self) -> str:
        return "\n".join(map(str, self.happenings))
