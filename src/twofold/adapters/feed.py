"""A transport without a broker: services in other processes are followed over HTTP, as their logs are the feeds."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping

import httpx
import msgspec

from twofold.clock import Clock
from twofold.errors import SettingsError
from twofold.messages import decoder
from twofold.messaging import Delivery

_WAIT_SECONDS = 20
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_EXAMPLE = "For example feed:sales=http://127.0.0.1:8001,ledger=http://127.0.0.1:8002"

_logger = logging.getLogger("twofold.messaging")


class FeedTransport:
    """Reads ``/feed`` of the services that it has URLs for. Who is not there yet is waited for."""

    pushes = False

    def __init__(self, sources: Mapping[str, str], clock: Clock) -> None:
        self._sources = dict(sources)
        self._clock = clock
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(_WAIT_SECONDS + 10, connect=5))

    async def publish(self, delivery: Delivery) -> None:
        raise NotImplementedError("What is in the log is published; nothing has to be pushed.")

    async def subscribe(self, group: str, source: str, after: int) -> AsyncIterator[Delivery]:
        if source not in self._sources:
            raise SettingsError(
                f"{group} subscribes to {source}, and its transport has URLs for {', '.join(self._sources)} only. {_EXAMPLE}"
            )
        while True:
            delivery = await self._page(source, after)
            if delivery.position < after:
                _logger.error(
                    "%s ends at position %d, and this service has read up to %d: its log was replaced by an older one. "
                    "Restore it, or begin anew here too.", source, delivery.position, after,
                )  # fmt: skip
                await self._clock.sleep(_LONGEST_PAUSE_SECONDS)
            elif delivery.position > after:
                yield delivery
                after = delivery.position

    async def _page(self, source: str, after: int) -> Delivery:
        """Return the next page of a feed, however long its service is away."""
        pause = _FIRST_PAUSE_SECONDS
        url = f"{self._sources[source].rstrip('/')}/feed"
        while True:
            try:
                response = await self._client.get(url, params={"after": after, "wait": _WAIT_SECONDS})
                response.raise_for_status()
                page: Delivery = decoder(Delivery).decode(response.content)
            except (httpx.HTTPError, msgspec.DecodeError) as error:
                level = logging.WARNING if pause >= 1 else logging.INFO
                _logger.log(level, "The feed of %s at %s is not there: %s", source, url, error or type(error).__name__)
            else:
                return page
            await self._clock.sleep(pause * (0.5 + self._clock.random() / 2))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def close(self) -> None:
        await self._client.aclose()


def open_transport(url: str, clock: Clock) -> FeedTransport:
    """Return the transport of a URL such as ``feed:sales=http://127.0.0.1:8001,ledger=http://127.0.0.1:8002``.

    Raises:
        SettingsError: a part of it is not ``name=http://…``.
    """
    sources: dict[str, str] = {}
    for part in url.removeprefix("feed:").split(","):
        name, equals, address = part.strip().partition("=")
        if not (name and equals and address.startswith(("http://", "https://"))):
            raise SettingsError(
                f"{url!r}: {part!r} is not the name of a service and the URL it is served at. {_EXAMPLE}"
            )
        sources[name] = address
    return FeedTransport(sources, clock)
