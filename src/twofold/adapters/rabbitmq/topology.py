"""What there is in RabbitMQ: exchanges, queues and what binds them. Declaring again what is there changes nothing.

With ``create=no`` all of it has been made by others, and it is only looked whether it is there.
"""

from __future__ import annotations

from typing import Any, Final

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractQueue

from twofold.adapters.rabbitmq.settings import RabbitMQSettings

_EVERYTHING: Final = "#"
_QUORUM: Final[dict[str, Any]] = {
    "x-queue-type": "quorum",
    # From RabbitMQ 4 on, a message that has come twenty times is dropped where nothing else is said. What turns that off is an
    # error before 4, and a queue keeps what it was declared with; so a number that is never reached is said to all of them.
    "x-delivery-limit": 1_000_000_000,
}
_IN_TURN: Final = {"x-single-active-consumer": True}


async def declare_exchange(channel: AbstractChannel, settings: RabbitMQSettings, source: str) -> None:
    """Declare where a service publishes. Other applications bind queues of their own to it, by the types of events."""
    passive = not settings.creates
    await channel.declare_exchange(settings.exchange(source), ExchangeType.TOPIC, durable=True, passive=passive)


async def declare_queue(channel: AbstractChannel, settings: RabbitMQSettings, group: str, source: str) -> AbstractQueue:
    """Declare where what a source publishes waits for a group, whether or not it listens; one process reads at a time."""
    await declare_exchange(channel, settings, source)
    name, passive = settings.queue(group, source), not settings.creates
    queue = await channel.declare_queue(name, durable=True, passive=passive, arguments=_QUORUM | _IN_TURN)
    if settings.creates:
        await queue.bind(settings.exchange(source), _EVERYTHING)
    return queue


async def declare_dead_letters(channel: AbstractChannel, settings: RabbitMQSettings, group: str) -> None:
    """Declare where what a group cannot read is kept."""
    name = settings.dead_letters(group)
    await channel.declare_queue(name, durable=True, passive=not settings.creates, arguments=_QUORUM)
