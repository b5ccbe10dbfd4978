"""What a broker's URL says: servers, who asks, and options, which are the same for all brokers where they mean the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from twofold.errors import SettingsError
from twofold.urls import without_password

ANY_SOURCE: Final = "*"
"""Stands in a template for the name of the service whose events are in a place."""


class BrokerUrl(msgspec.Struct, frozen=True):
    """A URL of a broker such as ``kafka://user:password@one:9092,two:9092/path?option=value``.

    >>> url = BrokerUrl.of("kafka://shop:secret@one,two:9093?topic=*.events", 9092, {"topic"}, "For example kafka://broker")
    >>> url.servers, url.user, url.options
    (('one:9092', 'two:9093'), 'shop', {'topic': '*.events'})
    >>> str(url)
    'kafka://shop:***@one,two:9093?***'
    """

    servers: tuple[str, ...]
    user: str
    password: str
    path: str
    options: Mapping[str, str]
    masked: str

    @classmethod
    def of(cls, url: str, port: int, options: Collection[str], example: str) -> BrokerUrl:
        """Read a URL whose servers have a port unless they name one.

        Raises:
            SettingsError: it names no server, a port that cannot be one, or an option that there is not.
        """
        masked = without_password(url)
        parts = urlsplit(url)
        if "@" in f"{parts.path}{parts.query}{parts.fragment}":
            # What stands before it may be the rest of a password, and is not shown as the path or option that it looks like.
            raise SettingsError(
                f"{masked}: an @ stands behind the servers. In a user or a password, / is written as %2F, ? as %3F, # as %23; "
                f"and elsewhere @ as %40. {example}"
            )
        login, _, hosts = parts.netloc.rpartition("@")
        user, _, password = login.partition(":")
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := sorted(given.keys() - {*options}):
            known = ", ".join(sorted(options)) or "none"
            raise SettingsError(f"{masked}: there is no option {unknown[0]!r}. Known are: {known}. {example}")
        servers = tuple(_server(each, port) for each in hosts.split(","))
        if not all(servers):
            raise SettingsError(f"{masked}: it does not say which server is meant. {example}")
        return cls(servers, unquote(user), unquote(password), unquote(parts.path.strip("/")), given, masked)

    def place(self, option: str, default: str, source: str) -> str:
        """Return where a source's events are: what an option says, or else a default, with the source's name in it."""
        return self.options.get(option, default).replace(ANY_SOURCE, source)

    def number(self, option: str, default: int, example: str) -> int:
        """Return an option that is a whole number from 1 on.

        Raises:
            SettingsError: it is none.
        """
        text = self.options.get(option, str(default))
        if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**31):
            raise SettingsError(f"{self.masked}: {option} has to be a whole number from 1 on. {example}")
        return int(text)

    def __str__(self) -> str:
        return self.masked

    def __repr__(self) -> str:
        """Show it as people may see it, in a debugger's list of variables too."""
        return f"BrokerUrl({self.masked!r})"


def _server(text: str, port: int) -> str:
    """Return a host with its port, '' if it is none."""
    try:
        parts = urlsplit(f"//{text}")
        found = parts.port or port
    except ValueError:
        return ""
    if not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{found}"
