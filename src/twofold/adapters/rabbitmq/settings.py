"""What a URL says of RabbitMQ, and where in it a service's messages are."""

from __future__ import annotations

import ssl
from typing import Final

import msgspec

from twofold.adapters.broker_url import BrokerUrl
from twofold.errors import SettingsError
from twofold.limits import BrokerLimits

EXAMPLE: Final = "For example amqp://user:password@rabbitmq:5672/shop?subscribers=ledger,stock"

_PORT, _TLS_PORT = 5672, 5671
_OPTIONS = ("ca", "certificate", "create", "dead_letters", "exchange", "key", "subscribers")
_BATCHES_AHEAD = 2
_MOST_AHEAD = 65_535


class RabbitMQSettings(msgspec.Struct, frozen=True):
    """How RabbitMQ is reached, what there is called there, and how much it may send ahead."""

    url: BrokerUrl
    tls: ssl.SSLContext | None
    creates: bool
    ahead: int
    answer_seconds: float

    @classmethod
    def of(cls, url: str, limits: BrokerLimits) -> RabbitMQSettings:
        """Read a URL.

        Raises:
            SettingsError: it cannot be meant, or the files that it names cannot be read.
        """
        is_secure = url.startswith("amqps:")
        found = BrokerUrl.of(url, _TLS_PORT if is_secure else _PORT, _OPTIONS, EXAMPLE)
        if found.options.get("create", "yes") not in ("yes", "no"):
            raise SettingsError(f"{found}: create has to be one of yes, no. {EXAMPLE}")
        return cls(
            found,
            _tls(found) if is_secure else None,
            found.options.get("create") != "no",
            # One batch comes while the other takes effect.
            min(_BATCHES_AHEAD * limits.batch_events, _MOST_AHEAD),
            limits.answer_seconds,
        )

    def subscribers(self, source: str) -> list[str]:
        """Return whose queues a source makes: ``ledger`` in the URL is about all sources, ``sales:ledger`` about one."""
        named = [name.rpartition(":") for name in self.url.options.get("subscribers", "").split(",")]
        return [group for whose, _, group in named if group not in ("", source) and whose in ("", source)]

    @property
    def user(self) -> str:
        """Who asks."""
        return self.url.user or "guest"

    @property
    def vhost(self) -> str:
        """In which virtual host all of it is."""
        return self.url.path or "/"

    def exchange(self, source: str) -> str:
        """Return where a source's events are published."""
        return self.url.place("exchange", "*.events", source)

    def queue(self, group: str, source: str) -> str:
        """Return where a source's events wait for a group."""
        return f"{group}.{self.exchange(source)}"

    def dead_letters(self, group: str) -> str:
        """Return where what is no event is kept, of all that comes for a group."""
        return self.url.place("dead_letters", "*.dead-letters", group)


def _tls(url: BrokerUrl) -> ssl.SSLContext:
    options = url.options
    try:
        context = ssl.create_default_context(cafile=options.get("ca"))
        if "certificate" in options:
            context.load_cert_chain(options["certificate"], options.get("key"))
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"{url}: the file of ca, certificate or key cannot be read: {error}. {EXAMPLE}") from error
    return context
