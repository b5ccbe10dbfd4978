"""A pull transport as the suite uses it: what is published is appended to the log that the transport reads."""

from typing import Any

from twofold import Event
from twofold.clock import SystemClock
from twofold.log import Log, NewEvent
from twofold.messages import Metadata, encode
from twofold.messaging import Delivery, Transport

_CLOCK = SystemClock()


class Ordered(Event, version=2):
    text: str = ""


class Appending:
    def __init__(self, log: Log, transport: Transport) -> None:
        self._log = log
        self.subscribe: Any = transport.subscribe

    async def publish(self, delivery: Delivery) -> None:
        events = [
            NewEvent(
                each.id,
                each.type,
                each.version,
                (each.key,),
                bytes(each.data),
                encode(Metadata(correlation=each.correlation, traceparent=each.traceparent, actor=each.actor)),
            )
            for each in delivery.events
        ]
        # An event that nobody is told of, where there is none to be told.
        unpublished = NewEvent(_CLOCK.new_id(), "Unpublished", 1, (), b"{}")
        await self._log.append(events or [unpublished], id=f"{delivery.position}")
