"""What a decision may know besides the command and the states."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from twofold.clock import moment
from twofold.messages import Metadata


class Context(msgspec.Struct, frozen=True):
    """Time, ids and circumstances of a command, for a decision that has a parameter annotated with `Context`.

    ``now_us`` is the time at which the command arrived, in microseconds since 1970; it is the same when the command is
    decided again after a conflict.
    """

    now_us: int
    new_id: Callable[[], str]
    metadata: Metadata

    @property
    def now(self) -> datetime:
        """When the command arrived."""
        return moment(self.now_us)
