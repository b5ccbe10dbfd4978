"""A transport without a broker: services in other processes are followed over HTTP, as their logs are the feeds."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterable, Mapping
from urllib.parse import urlsplit

import httpx
import msgspec

from twofold.backoff import Backoff
from twofold.clock import Clock
from twofold.errors import SettingsError
from twofold.limits import FeedLimits, Limits
from twofold.messages import decoder
from twofold.messaging import Delivery, check_not_replaced
from twofold.urls import without_password, without_passwords

_FIRST_PAUSE_SECONDS = 0.1
_QUIET_ATTEMPTS = 5
_ATTEMPTS_BETWEEN_WARNINGS = 12
_EXAMPLE = "For example feed:sales=http://127.0.0.1:8001,ledger=http://127.0.0.1:8002"

_logger = logging.getLogger("twofold.messaging")


class FeedTransport:
    """Reads ``/feed`` of the services that it has URLs for, page by page.

    A service that is not there yet, or not any more, is asked again until it is: with growing pauses, and loudly once that
    takes more than a few seconds.
    """

    pushes = False

    def __init__(self, sources: Mapping[str, str], clock: Clock, limits: FeedLimits = FeedLimits()) -> None:
        self._sources = dict(sources)
        self._clock = clock
        self._limits = limits
        self._backoff = Backoff(_FIRST_PAUSE_SECONDS, limits.longest_pause_seconds)
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(limits.wait_seconds + 10, connect=5))

    async def publish(self, delivery: Delivery) -> None:
        raise NotImplementedError("What is in the log is published; nothing has to be pushed.")

    def subscribe(self, group: str, source: str, after: int) -> AsyncGenerator[Delivery, None]:
        """Yield what a source publishes from the position on.

        Raises:
            SettingsError: there is no URL for the source.
            LogCorrupted: the source's log ends before the position.
        """
        return self._deliveries(group, source, url_of(source, self._sources), after)

    async def _deliveries(self, group: str, source: str, url: str, after: int) -> AsyncGenerator[Delivery, None]:
        wait = 0
        while True:
            delivery = await self._page(source, url, after, wait)
            # The first page is not waited for: whether the URL is right, and the log the old one, is known at once.
            wait = self._limits.wait_seconds
            check_not_replaced(group, source, after, delivery.position)
            if delivery.position > after:
                yield delivery
                after = delivery.position

    async def _page(self, source: str, url: str, after: int, wait: int) -> Delivery:
        """Return the next page of a feed, however long its service is away."""
        attempts = 0
        shown = without_password(url)
        while True:
            try:
                page = await self._get(source, url, after, 0 if attempts else wait)
            except (httpx.HTTPError, msgspec.DecodeError, _OtherService) as error:
                attempts += 1
                loud = attempts % _ATTEMPTS_BETWEEN_WARNINGS == _QUIET_ATTEMPTS
                reason = without_passwords(str(error)) or type(error).__name__
                _logger.log(
                    logging.WARNING if loud else logging.DEBUG,
                    "The feed of %s at %s cannot be read, and is asked for again: %s", source, shown, reason,
                )  # fmt: skip
            else:
                if attempts >= _QUIET_ATTEMPTS:
                    _logger.info("The feed of %s at %s can be read again.", source, shown)
                return page
            await self._clock.sleep(self._backoff.pause_seconds(attempts, self._clock.random()))

    async def _get(self, source: str, url: str, after: int, wait: int) -> Delivery:
        parameters = {"after": after, "limit": self._limits.page_events, "wait": wait}
        response = await self._client.get(f"{url}/feed", params=parameters)
        response.raise_for_status()
        delivery: Delivery = decoder(Delivery).decode(response.content)
        if delivery.source != source:
            raise _OtherService(f"it is the feed of {delivery.source}, so the URL is wrong")
        return delivery

    async def close(self) -> None:
        await self._client.aclose()


class _OtherService(Exception):
    """Somebody else's feed."""


def url_of(source: str, sources: Mapping[str, str]) -> str:
    """Return the URL of a source.

    Raises:
        SettingsError: there is none.
    """
    if source not in sources:
        raise SettingsError(
            f"{source} is to be heard, and TWOFOLD_TRANSPORT has URLs for {', '.join(sources)} only. {_EXAMPLE}"
        )
    return sources[source].rstrip("/")


def open_transport(url: str, clock: Clock, limits: Limits, sources: Iterable[str]) -> FeedTransport:
    """Return the transport of a URL such as ``feed:sales=http://127.0.0.1:8001,ledger=http://127.0.0.1:8002``.

    Raises:
        SettingsError: a part of it is not ``name=http://…``, or one of the sources to be heard is not in it.
    """
    addresses: dict[str, str] = {}
    for part in url.removeprefix("feed:").split(","):
        name, _, address = part.strip().partition("=")
        if not (name and _is_http(address)):
            raise SettingsError(
                f"{without_password(url)!r}: {_shown(part)!r} is not the name of a service and the URL it is served at. "
                f"{_EXAMPLE}"
            )
        if name in addresses:
            raise SettingsError(f"{without_password(url)!r} has two URLs for {name}. Leave one of them out. {_EXAMPLE}")
        addresses[name] = address
    for source in sources:
        url_of(source, addresses)
    return FeedTransport(addresses, clock, limits.feed)


def _shown(part: str) -> str:
    name, _, address = part.partition("=")
    if not part or (name.isalnum() and not address):
        return part
    return without_password(f"feed:{part}").removeprefix("feed:")


def _is_http(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and not (parts.query or parts.fragment)
        )
    except ValueError:
        return False
