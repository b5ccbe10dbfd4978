"""Where RabbitMQ is, how long it may take to answer, and what is told of it where it does not.

The client's connections that heal themselves (`connect_robust`) are not used. They hide that a connection was lost, and with
it which messages are acknowledged: these come again, and whoever waits for one to be confirmed is not told. Here a lost
connection is an error, and whoever follows begins anew with what is not settled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import aio_pika
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPError

from twofold.adapters.rabbitmq.failures import NoLeader, failure
from twofold.adapters.rabbitmq.settings import RabbitMQSettings
from twofold.clock import Clock
from twofold.errors import BrokerUnavailable

T = TypeVar("T")

_CLOSING_SECONDS = 3.0
_ELECTION_PAUSES_SECONDS = (0.05, 0.2, 1.0, 2.0)

# What the client logs of a connection that is lost, it raises as well; that is told once, with what to do.
for _each in ("aiormq", "aio_pika"):
    if logging.getLogger(_each).level == logging.NOTSET:
        logging.getLogger(_each).setLevel(logging.CRITICAL)


class Server:
    """A node of RabbitMQ, or several of one cluster, that are tried in turn."""

    def __init__(self, settings: RabbitMQSettings, clock: Clock) -> None:
        self.settings = settings
        self.url = settings.url
        self._clock = clock

    async def connect(self, purpose: str) -> AbstractConnection:
        """Open a connection that is shown to operators under the name of its purpose.

        Raises:
            BrokerUnavailable: no node can be reached, or the user is not let in.
            SettingsError: there is no such virtual host.
        """
        for address in self.url.servers[:-1]:
            with suppress(OSError):
                return await self._connect(address, purpose)
        return await self._connect(self.url.servers[-1], purpose)

    async def _connect(self, address: str, purpose: str) -> AbstractConnection:
        host, _, port = address.rpartition(":")
        return await aio_pika.connect(
            host=host.strip("[]"),
            port=int(port),
            login=self.settings.user,
            password=self.url.password or "guest",
            virtualhost=self.settings.vhost,
            ssl=self.settings.tls is not None,
            ssl_context=self.settings.tls,
            timeout=self.settings.answer_seconds / len(self.url.servers),
            client_properties={"connection_name": f"twofold {purpose}"},
            # A process whose machine is gone hands over its queues when it has missed two of these.
            heartbeat=max(1, int(self.settings.answer_seconds / 3)),
        )

    async def while_electing(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try something again for the few seconds in which a queue may be without a leader."""
        for pause_seconds in _ELECTION_PAUSES_SECONDS:
            with suppress(NoLeader):
                return await attempt()
            await self._clock.sleep(pause_seconds)
        return await attempt()

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """Bound what the block waits for, and tell in one sentence what has kept RabbitMQ from doing it.

        Raises:
            BrokerUnavailable: it is away, or has not answered in time.
            SettingsError: it does not do what it was asked, and would not do it later either.
        """
        try:
            async with asyncio.timeout(self.settings.answer_seconds):
                yield
        except asyncio.CancelledError as error:
            # So the client ends whatever waits on a connection that is lost.
            if (task := asyncio.current_task()) and task.cancelling():
                raise
            raise failure(self.settings, error) from error
        except TimeoutError as error:
            raise BrokerUnavailable(
                f"RabbitMQ at {self.url} has not answered within {self.settings.answer_seconds:g} s. Look whether it is "
                "overloaded or stands still; TWOFOLD_BROKER_ANSWER_SECONDS is how long is waited."
            ) from error
        except (AMQPError, OSError, RuntimeError) as error:
            raise failure(self.settings, error) from error


async def close(connection: AbstractConnection) -> None:
    """Close a connection, which gives back what was received by it and is not settled; one that is lost is only dropped."""
    with suppress(AMQPError, OSError, RuntimeError):
        async with asyncio.timeout(_CLOSING_SECONDS):
            await connection.close()
