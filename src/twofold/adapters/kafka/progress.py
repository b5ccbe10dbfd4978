"""How far each partition is settled without a gap, which is all that Kafka can be told."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Protocol


class Placed(Protocol):
    """A message with its place in a topic."""

    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...


class Progress:
    """Knows what was received and is not settled yet, in the order of each partition."""

    def __init__(self) -> None:
        self._pending: defaultdict[int, deque[int]] = defaultdict(deque)
        self._settled: defaultdict[int, set[int]] = defaultdict(set)

    def received(self, messages: Iterable[Placed]) -> None:
        """Take note of messages, which come in the order of their partitions."""
        for message in messages:
            self._pending[message.partition() or 0].append(message.offset() or 0)

    def ahead(self, most: int) -> set[int]:
        """Return the partitions of which more messages than so many are not settled."""
        return {partition for partition, pending in self._pending.items() if len(pending) > most}

    def settled(self, messages: Iterable[Placed]) -> dict[int, int]:
        """Return the offset at which to read on, of each partition that is settled further now."""
        touched: dict[int, int] = {}
        for message in messages:
            partition = message.partition() or 0
            self._settled[partition].add(message.offset() or 0)
            touched[partition] = -1
        for partition in touched:
            pending, settled = self._pending[partition], self._settled[partition]
            while pending and pending[0] in settled:
                settled.remove(pending[0])
                touched[partition] = pending.popleft() + 1
        return {partition: offset for partition, offset in touched.items() if offset >= 0}
