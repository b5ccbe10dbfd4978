"""The port: what carries published events from one service to another. Adapters are in `twofold.adapters`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from twofold.errors import LogCorrupted
from twofold.messaging.message import Delivery


class Transport(Protocol):
    """`twofold.testing.TransportConformance` says, by tests, all that an adapter must hold to.

    Deliveries come at least once and in the order of the source's log, as each says after which position it begins and up to
    which there is nothing else: an adapter for a broker that keeps order within partitions alone, or gives back what was not
    settled later than the rest, has a `Resequencer` put them together. Whoever receives them recognises repetitions by id.
    """

    pushes: bool
    """Whether a source has to publish. A transport that reads the source's log by itself does not push."""

    async def publish(self, delivery: Delivery) -> None:
        """Hand a delivery over, and return once no subscriber can miss it any more."""
        ...

    def subscribe(self, group: str, source: str, after: int) -> AsyncGenerator[Delivery, None]:
        """Yield a source's deliveries to a group of which one member reads at a time.

        Asking for the next delivery says that the last one is settled; what is not settled is delivered again to whoever
        subscribes next. ``after`` is the position that the group has settled by its own account; a transport that keeps
        account itself need not look at it. Closing it, as cancelling does, lets go of what it has of the broker.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


def check_not_replaced(group: str, source: str, after: int, end: int) -> None:
    """Check that a source's log reaches as far as a group has heard of it.

    Raises:
        LogCorrupted: it does not, so it is another log or an older one, and positions in it mean something else.
    """
    if end < after:
        raise LogCorrupted(
            f"The log of {source} ends at position {end}, and {group} has heard everything up to {after}: somebody has "
            f"replaced the log of {source} by an older or an empty one. Restore it, or start {group} anew as well."
        )
