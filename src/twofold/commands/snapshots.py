"""Snapshots: states that took many events to fold, kept under the fingerprint of the code that folded them.

They are a cache. One that is lost, or cannot be used, costs the time in which its events are folded again, and a warning.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, TypeVar

from twofold.folding import Fold
from twofold.log import Log, Snapshot
from twofold.messages import decoder, difference, encode

S = TypeVar("S")

_logger = logging.getLogger("twofold.commands")


class Snapshots:
    """The snapshots in a log's store, as one process saves and loads them."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._saving: set[asyncio.Task[None]] = set()
        self._warned: set[tuple[str, str]] = set()

    async def load(self, fold: Fold[S], key: Any) -> tuple[int, S] | None:
        """Return the position and the state of a snapshot that can be used, if there is one."""
        if not fold.snapshot_every:
            return None
        try:
            snapshot = await self._log.snapshots.load_snapshot(_name(fold), fold.key.of(key))
            if snapshot is None:
                return None
            return snapshot.position, await self._restored(fold, key, snapshot)
        except Exception as error:
            self._warn(fold, "used, and its events are folded instead", key, error)
            return None

    async def _restored(self, fold: Fold[S], key: Any, snapshot: Snapshot) -> S:
        state: Any = decoder(fold.state).decode(snapshot.data)
        if difference(state.key, key):
            raise ValueError(f"it is that of {state.key!r}")
        if type(snapshot.position) is not int or snapshot.position < 1:
            raise ValueError(f"it is from position {snapshot.position!r}, where no event is")
        if snapshot.position > self._log.known_head and snapshot.position > await self._log.head():
            raise ValueError(f"it is from position {snapshot.position}, and the log ends before that")
        return state  # type: ignore[no-any-return]

    def save(self, fold: Fold[S], key: Any, position: int, state: S) -> None:
        """Save a snapshot; nobody waits for it, and the next one makes good a lost one."""
        task = asyncio.create_task(self._save(fold, key, position, state))
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)

    async def _save(self, fold: Fold[S], key: Any, position: int, state: S) -> None:
        try:
            snapshot = Snapshot(position, _encoded(fold, state))
            await self._log.snapshots.save_snapshot(_name(fold), fold.key.of(key), snapshot)
        except Exception as error:
            self._warn(fold, "kept, which costs only time", key, error)

    def _warn(self, fold: Fold[Any], what: str, key: Any, error: Exception) -> None:
        """Say once for each state's class what is wrong: it is likely to be so for all of its keys."""
        if (fold.name, what) not in self._warned:
            self._warned.add((fold.name, what))
            _logger.warning("No snapshot of %s %s was %s: %s", fold.name, key, what, error)

    async def close(self) -> None:
        """Wait for the snapshots that are being saved."""
        await asyncio.gather(*self._saving)


def _encoded(fold: Fold[S], state: S) -> bytes:
    """Encode a state, and make sure that it comes back as it is: its annotations may promise less than it holds."""
    data = encode(state)
    if changed := difference(decoder(fold.state).decode(data), state):
        raise ValueError(
            f"{changed} would not come back from JSON as it is; annotate its fields with the types that they hold, and keep "
            "times in UTC or with a fixed offset"
        )
    return data


def _name(fold: Fold[Any]) -> str:
    return f"{fold.name}:{fold.fingerprint}"
