"""What a URL says of a Redis, and of the streams in it."""

from __future__ import annotations

from typing import Final

import msgspec

from twofold.adapters.broker_url import BrokerUrl
from twofold.errors import SettingsError

EXAMPLE: Final = "For example redis://user:password@127.0.0.1:6379/0?stream=*:events&maxlen=1000000"

_PORT = 6379
_OPTIONS = ("create", "dead_letters", "maxlen", "replicas", "stream")


class RedisSettings(msgspec.Struct, frozen=True):
    """How a Redis is reached, and what its streams are like; 0 is no limit, and no replica that is waited for."""

    url: BrokerUrl
    is_encrypted: bool
    database: int
    maxlen: int
    replicas: int
    creates: bool
    answer_seconds: float

    @classmethod
    def of(cls, url: str, answer_seconds: float) -> RedisSettings:
        """Read a URL.

        Raises:
            SettingsError: it cannot be meant.
        """
        found = BrokerUrl.of(url, _PORT, _OPTIONS, EXAMPLE)
        if not (found.path.isdigit() or not found.path):
            raise SettingsError(f"{found}: what stands after the servers is the number of a database. {EXAMPLE}")
        if found.options.get("create", "yes") not in ("yes", "no"):
            raise SettingsError(f"{found}: create has to be one of yes, no. {EXAMPLE}")
        maxlen, replicas = (
            found.number(name, 1, EXAMPLE) if name in found.options else 0 for name in ("maxlen", "replicas")
        )
        return cls(
            url=found,
            is_encrypted=url.startswith("rediss:"),
            database=int(found.path or "0"),
            maxlen=maxlen,
            replicas=replicas,
            creates=found.options.get("create") != "no",
            answer_seconds=answer_seconds,
        )

    def stream(self, source: str) -> str:
        """Return where a source's events are."""
        return self.url.place("stream", "*:events", source)

    def dead_letters(self, group: str) -> str:
        """Return where what is no event is kept, of all that comes for a group."""
        return self.url.place("dead_letters", "*:dead-letters", group)

    def missing(self, stream: str, group: str = "") -> SettingsError:
        """Return an error that says how what is missing is created by hand, which without a group is the stream."""
        what = f"the stream {stream} has no group {group}" if group else f"there is no stream {stream}"
        return SettingsError(
            f"{self.url}: {what}, and create=no says that it is created by hand, with a group for each service that "
            f"subscribes: redis-cli XGROUP CREATE {stream} {group or 'SUBSCRIBER'} 0 MKSTREAM ENTRIESREAD 0"
        )
