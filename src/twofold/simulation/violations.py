"""What oracles find: a promise that was not kept, and where."""

from __future__ import annotations

import msgspec


class Violation(msgspec.Struct, frozen=True):
    """A rule that was broken, where, what it asks for, and what there was instead."""

    rule: str
    where: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.rule}\n  where:    {self.where}\n  expected: {self.expected}\n  found:    {self.found}"
