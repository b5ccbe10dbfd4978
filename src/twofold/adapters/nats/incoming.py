"""What comes for a service from a stream, by a durable consumer of which it is the only reader."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Final

from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from twofold.adapters.broker_url import BrokerUrl
from twofold.adapters.nats.connection import Connection
from twofold.adapters.nats.headers import attributes_of
from twofold.adapters.nats.places import Place, dead_letters_of, prepare
from twofold.clock import Clock, moment
from twofold.errors import BrokerUnavailable
from twofold.messaging import Content

_ACK_WAIT_SECONDS: Final = 60.0
"""How long the server waits until it sends again what was not settled, by itself: who begins to read has it at once."""

_UNLIMITED: Final = -1
_PASSED: Final = ("404", "408")


class NatsIncoming:
    """Messages of one stream in its order. It asks for as many as it is asked for, and never twice at a time."""

    def __init__(
        self, connection: Connection, url: BrokerUrl, clock: Clock, place: Place, group: str, source: str
    ) -> None:
        self._connection = connection
        self._url = url
        self._clock = clock
        self._place = place
        self._group = group
        self._source = source
        self._inbox = connection.client.new_inbox()
        self._number = 0
        self._delivered_before = 0
        self._asked = 0
        self._received: list[Msg] = []
        self._refusal = ""
        self._news = asyncio.Event()

    async def open(self) -> None:
        """Begin with what was not settled, in the order of the stream.

        What was delivered and not settled, the server delivers again when its time has come, behind what is new. So where
        there is any, the consumer is made anew from that on. If a process ends between the two, all of the stream comes again.

        Raises:
            BrokerUnavailable: the server does not answer.
        """
        streams, answer, name = self._connection.streams, self._connection.answer, self._place.stream
        wanted = ConsumerConfig(
            name=self._group,
            durable_name=self._group,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=_ACK_WAIT_SECONDS,
            max_ack_pending=_UNLIMITED,
        )
        try:
            found = await answer(streams.consumer_info(name, self._group))
        except NotFoundError:
            await answer(streams.add_consumer(name, wanted))
        else:
            self._number, self._delivered_before = found.delivered.consumer_seq, found.delivered.stream_seq
            if found.num_ack_pending:
                start = found.ack_floor.stream_seq + 1
                wanted = wanted.evolve(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=start)
                await answer(streams.delete_consumer(name, self._group))
                await answer(streams.add_consumer(name, wanted))
                self._number = 0
        await answer(self._connection.client.subscribe(self._inbox, cb=self._take))

    async def _take(self, message: Msg) -> None:
        if message.reply:
            self._received.append(message)
            self._asked -= 1
        else:
            # What comes without a reply is the end of what was asked for, with the reason as its status.
            headers = message.headers or {}
            self._asked = 0
            if headers.get("Status") not in _PASSED:
                self._refusal = " ".join(headers.values())
        self._news.set()

    async def receive(self, most: int, seconds: float) -> Sequence[Msg]:
        if self._asked <= 0:
            await self._ask(most, seconds)
        if not self._received:
            await self._connection.answer(self._news.wait(), besides_seconds=seconds)
        self._news.clear()
        received, self._received = self._received, []
        self._check(received)
        return received

    async def _ask(self, most: int, seconds: float) -> None:
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._place.stream}.{self._group}"
        self._asked = most
        asking = json.dumps({"batch": most, "expires": int(seconds * 1e9)}).encode()
        await self._connection.answer(self._connection.client.publish(subject, asking, self._inbox))

    def _check(self, received: Sequence[Msg]) -> None:
        """Check that nothing has gone elsewhere: the server numbers what it delivers."""
        for message in received:
            self._number += 1
            if message.metadata.sequence.consumer != self._number:
                raise BrokerUnavailable(
                    f"NATS at {self._url} has delivered a part of the stream {self._place.stream} to another process as well, "
                    f"as while that takes over what {self._group} reads. What is not settled is read again."
                )
        if self._refusal and not received:
            raise BrokerUnavailable(
                f"NATS at {self._url} has stopped delivering the stream {self._place.stream} to {self._group}: "
                f"{self._refusal}. It is read again; if that does not help, see `nats consumer info`."
            )

    def content(self, message: Msg) -> Content:
        metadata = message.metadata
        again = metadata.num_delivered > 1 or metadata.sequence.stream <= self._delivered_before
        return Content(attributes_of(message.headers or {}), message.data, again)

    async def set_aside(self, message: Msg, reason: str) -> str:
        place = dead_letters_of(self._group, self._url)
        await prepare(place, self._connection, self._url)
        origin = {
            "twofold-reason": reason,
            "twofold-source": self._source,
            "twofold-place": f"{self._place.stream}/{message.metadata.sequence.stream}, by {message.subject}",
            "twofold-time": moment(self._clock.now_us()).isoformat(),
        }
        headers = _kept(message.headers or {}) | origin
        self._connection.check_size(headers, message.data)
        keeping = self._connection.streams.publish(place.subjects, message.data, headers=headers, stream=place.stream)
        await self._connection.answer(keeping)
        return f"the stream {place.stream}"

    async def settle(self, messages: Sequence[Msg]) -> None:
        await self._connection.answer(self._settle(messages))

    async def _settle(self, messages: Sequence[Msg]) -> None:
        *others, last = messages
        for message in others:
            await message.ack()
        # They are taken in order, so that the answer to the last one is one for all.
        await self._connection.client.request(last.reply, timeout=self._connection.answer_seconds)


def _kept(headers: dict[str, str]) -> dict[str, str]:
    """Return headers as they came; those that tell a server what to do are there under another name."""
    return {f"twofold-{name}" if name.lower().startswith("nats-") else name: value for name, value in headers.items()}
