"""What a URL says of a Kafka cluster, and what its clients are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from twofold.adapters.broker_url import BrokerUrl
from twofold.errors import SettingsError
from twofold.limits import BrokerLimits

EXAMPLE: Final = "For example kafka://user:password@one:9092,two:9092?topic=*.events&partitions=6"

_PORT = 9092
_OPTIONS = (
    "ca", "certificate", "create", "dead_letters", "key", "mechanism", "partitions", "replication", "security", "topic",
)  # fmt: skip
_SECURITY = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
_CHOICES = {
    "create": ("yes", "no"),
    "mechanism": ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
    "security": _SECURITY,
}
_FILES = {"ca": "ssl.ca.location", "certificate": "ssl.certificate.location", "key": "ssl.key.location"}

_PARTITIONS = 6
_BY_THE_BROKER = -1


class KafkaSettings(msgspec.Struct, frozen=True):
    """How a cluster is reached, and what its topics are like."""

    url: BrokerUrl
    partitions: int
    replication: int
    creates: bool
    answer_seconds: float
    most_ahead: int
    """How many messages of a partition may wait for what belongs before them in others, until it waits itself."""

    @classmethod
    def of(cls, url: str, limits: BrokerLimits) -> KafkaSettings:
        """Read a URL.

        Raises:
            SettingsError: it cannot be meant.
        """
        found = BrokerUrl.of(url, _PORT, _OPTIONS, EXAMPLE)
        if found.path:
            raise SettingsError(f"{found}: nothing stands after the servers but ?options. {EXAMPLE}")
        for option, choices in _CHOICES.items():
            if found.options.get(option, choices[0]) not in choices:
                raise SettingsError(f"{found}: {option} has to be one of {', '.join(choices)}. {EXAMPLE}")
        for option in _FILES:
            if option in found.options and not Path(found.options[option]).is_file():
                raise SettingsError(
                    f"{found}: there is no file {found.options[option]}, which {option} names. {EXAMPLE}"
                )
        replication = found.number("replication", 1, EXAMPLE) if "replication" in found.options else _BY_THE_BROKER
        partitions = found.number("partitions", _PARTITIONS, EXAMPLE)
        return cls(
            found,
            partitions,
            replication,
            found.options.get("create") != "no",
            limits.answer_seconds,
            max(1, limits.early_events // (2 * partitions)),
        )

    def topic(self, source: str) -> str:
        """Return where a source's events are."""
        return self.url.place("topic", "*.events", source)

    def dead_letters(self, group: str) -> str:
        """Return where what is no event is kept, of all that comes for a group."""
        return self.url.place("dead_letters", "*.dead-letters", group)

    def client(self) -> dict[str, Any]:
        """Return what any client has to be told; what goes wrong it tells by calls, and need not print."""
        options = self.url.options
        security = options.get("security", "sasl_ssl" if self.url.user else "plaintext")
        milliseconds = int(self.answer_seconds * 1000)
        config: dict[str, Any] = {
            "bootstrap.servers": ",".join(self.url.servers),
            "client.id": "twofold",
            "security.protocol": security,
            "socket.timeout.ms": milliseconds,
            "reconnect.backoff.max.ms": 1000,
            "log_level": 0,
        }
        if self.url.user:
            config["sasl.mechanism"] = options.get("mechanism", "PLAIN")
            config["sasl.username"] = self.url.user
            config["sasl.password"] = self.url.password
        return config | {_FILES[option]: options[option] for option in _FILES if option in options}
