"""Who is let in: the names that a service answers to, and the sites whose pages may use it.

A browser sends what any page tells it to, also to a service on the machine that it runs on. Two rules keep that out. A page
cannot have the service under a name of the page's own (DNS rebinding), as on the machine itself only local names are answered
to. And what comes from a page of another site says so, by ``Origin`` and ``Sec-Fetch-Site``, which no page can change; the
order in which they are asked is that of ``net/http.CrossOriginProtection`` in Go.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import re
from collections.abc import Iterable, Mapping

from starlette.types import Scope

from twofold.errors import SettingsError
from twofold.http.problems import Problem
from twofold.urls import without_passwords

Headers = list[tuple[bytes, bytes]]

_SAFE = ("GET", "HEAD", "OPTIONS")
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
_NAME = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\*")
_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
_DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}
_VARIES = (b"vary", b"origin")
_EXPOSED = (b"access-control-expose-headers", b"twofold-receipt, etag, x-correlation-id, retry-after, allow")
_SENT = (
    b"authorization, content-type, idempotency-key, if-none-match, last-event-id, prefer, traceparent, twofold-receipt, "
    b"x-correlation-id"
)
_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, HEAD, POST"),
    (b"access-control-allow-headers", _SENT),
    (b"access-control-max-age", b"600"),
]


class Access:
    """The rules of one application.

    Without ``hosts``, a connection that arrives at a loopback address is answered under local names and addresses, and any
    other under every name. With them, under those names and local ones only; ``*.example.org`` is all below a name, ``*``
    every name. Pages of ``origins`` may use the service although they are of another site.

    Raises:
        SettingsError: a host or an origin is not written as one; the text shows how.
    """

    def __init__(self, hosts: Iterable[str] | None = None, origins: Iterable[str] = ()) -> None:
        self._hosts = None if hosts is None else frozenset(_host_name(each) for each in hosts)
        self._origins = frozenset(_origin(each).encode() for each in origins)
        # Nearly all requests name one of a few hosts.
        self._answers_to = functools.lru_cache(maxsize=256)(self._looked_up)

    def admit(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Headers:
        """Return the headers that let a page of another site read the response.

        Raises:
            Problem: the host is not one of this service, or the request is from a page that may not use it.
        """
        host = headers.get(b"host")
        if host is None:
            if scope.get("http_version") == "1.1":
                raise _unusable_host("is missing")
        elif not self._answers_to(host, (scope.get("server") or ("",))[0]):
            raise _unknown_host(host)
        origin = headers.get(b"origin")
        if origin is None and b"sec-fetch-site" not in headers and not self._origins:
            return []
        if origin in self._origins:
            return [(b"access-control-allow-origin", origin), _EXPOSED, _VARIES]
        _check_site(scope["method"], headers.get(b"sec-fetch-site"), origin, host or b"")
        return [_VARIES] if self._origins else []

    def _looked_up(self, host: bytes, server: str) -> bool:
        found = _HOST.fullmatch(host.decode("latin-1"))
        if found is None:
            raise _unusable_host(f"is '{_shown(host)}', which is no host")
        name = found["name"].lower().removesuffix(".")
        if self._hosts is None:
            return not _is_loopback(server) or _is_local(name)
        return _is_local(name) or not self._hosts.isdisjoint(("*", name, *_above(name)))


def preflight(granted: Headers, scope: Scope, headers: Mapping[bytes, bytes]) -> Headers | None:
    """Return the headers of the answer to a browser that asks before it sends a page's request; None if none is asking."""
    if scope["method"] != "OPTIONS" or _EXPOSED not in granted or b"access-control-request-method" not in headers:
        return None
    return _PREFLIGHT


def read_access(
    environment: Mapping[str, str] = os.environ,
    *,
    hosts: Iterable[str] | None = None,
    origins: Iterable[str] | None = None,
) -> Access:
    """Read ``TWOFOLD_ALLOWED_HOSTS`` and ``TWOFOLD_ALLOWED_ORIGINS``, each a list separated by commas, where not given.

    Raises:
        SettingsError: one of them has something else in it.
    """
    if hosts is None and "TWOFOLD_ALLOWED_HOSTS" in environment:
        hosts = _listed(environment["TWOFOLD_ALLOWED_HOSTS"])
    return Access(hosts, _listed(environment.get("TWOFOLD_ALLOWED_ORIGINS", "")) if origins is None else origins)


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _host_name(text: str) -> str:
    name = text.lower()
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"TWOFOLD_ALLOWED_HOSTS has {without_passwords(text)!r} in it, which is not a host's name: no scheme, port or "
            "path. For example TWOFOLD_ALLOWED_HOSTS=shop.example.org,*.shop.internal"
        )
    return name


def _origin(text: str) -> str:
    origin = text.lower()
    if not _ORIGIN.fullmatch(origin):
        raise SettingsError(
            f"TWOFOLD_ALLOWED_ORIGINS has {without_passwords(text)!r} in it, which is not the origin of one site: scheme, "
            "host, and port if it is not the usual one. For example TWOFOLD_ALLOWED_ORIGINS=https://shop.example.org"
        )
    # Browsers leave out the usual port.
    return origin.removesuffix(":80" if origin.startswith("http:") else ":443")


def _above(name: str) -> Iterable[str]:
    """Return what stands for all names below another one, for each that a name is below."""
    labels = name.split(".")
    return [f"*.{'.'.join(labels[first:])}" for first in range(1, len(labels))]


def _is_local(name: str) -> bool:
    """Say whether a host is an address or a name of the machine itself: what nobody's DNS has a say in."""
    return name == "localhost" or name.endswith(".localhost") or _address(name.strip("[]")) is not None


def _is_loopback(server: str) -> bool:
    address = _address(server)
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    return server == "localhost" if address is None else address.is_loopback


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _check_site(method: str, site: bytes | None, origin: bytes | None, host: bytes) -> None:
    if site in (b"same-origin", b"none"):
        return
    if site is not None and method not in _SAFE:
        raise _foreign(origin or b"another site")
    if origin is not None and not _is_own(origin, host):
        raise _foreign(origin)


def _is_own(origin: bytes, host: bytes) -> bool:
    scheme, _, authority = origin.lower().partition(b"://")
    return authority == host.lower().removesuffix(_DEFAULT_PORTS.get(scheme, b""))


def _foreign(origin: bytes) -> Problem:
    return Problem(
        403,
        "foreign-origin",
        "A page of another site may not do that",
        f"The request comes from a page of {_shown(origin)}. If that page is to use this service, put its origin into "
        "TWOFOLD_ALLOWED_ORIGINS; if it is a page of this service, have the proxy pass the Host header on.",
    )


def _unknown_host(host: bytes) -> Problem:
    return Problem(
        421,
        "unknown-host",
        "This service does not answer to that name",
        f"Host is {_shown(host)}. If that is a name of this service, put it into TWOFOLD_ALLOWED_HOSTS.",
    )


def _unusable_host(flaw: str) -> Problem:
    return Problem(400, "invalid-header", "A header cannot be used", f"host {flaw}: send one, as in the URL.")


def _shown(value: bytes) -> str:
    return value[:100].decode("ascii", "backslashreplace")
