"""Settings: URLs from the environment, checked before anything starts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import msgspec

from twofold.clock import Clock
from twofold.errors import SettingsError
from twofold.log import Store
from twofold.messaging import Transport
from twofold.views import ViewStore


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a service keeps its log and its views, and how it hears of others. All three are URLs."""

    log: str
    views: str
    transport: str = ""


_STORES = {
    "memory": "twofold.adapters.memory.log:open_store",
    "sqlite": "twofold.adapters.sqlite.log:open_store",
    "postgresql": "twofold.adapters.postgres.log:open_store",
}
_VIEW_STORES = {
    "memory": "twofold.adapters.sqlite.views:open_views",
    "sqlite": "twofold.adapters.sqlite.views:open_views",
    "postgresql": "twofold.adapters.postgres.views:open_views",
}
_TRANSPORTS = {"feed": "twofold.adapters.feed:open_transport"}
_EXTRAS = {"feed": "http"}
_EXAMPLES = {
    "LOG": "sqlite:///bank.db",
    "VIEWS": "sqlite:///bank-views.db",
    "TRANSPORT": "feed:sales=http://127.0.0.1:8001,ledger=http://127.0.0.1:8002",
}


def read_settings(service: str, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read a service's settings: ``TWOFOLD_BANK_LOG`` for the service ``bank`` alone, or else ``TWOFOLD_LOG`` for all.

    In both, ``{service}`` stands for the service's name.

    >>> read_settings("bank", {"TWOFOLD_LOG": "sqlite:///data/{service}.db"}).log
    'sqlite:///data/bank.db'

    Raises:
        SettingsError: a URL is malformed or of a kind that is not known; the text names the variable.
    """
    return Settings(
        log=_read(service, "LOG", f"sqlite:///{service}.db", _STORES, environment),
        views=_read(service, "VIEWS", f"sqlite:///{service}-views.db", _VIEW_STORES, environment),
        transport=_read(service, "TRANSPORT", "", _TRANSPORTS, environment),
    )


def _read(service: str, what: str, default: str, known: Mapping[str, str], environment: Mapping[str, str]) -> str:
    for name in (variable(service, what), f"TWOFOLD_{what}"):
        value = environment.get(name)
        if value is not None:
            return _checked(name, value.replace("{service}", service), what, known)
    return default


def variable(service: str, what: str) -> str:
    """Return the name of the variable that is for one service alone.

    >>> variable("bad-debt", "LOG")
    'TWOFOLD_BAD_DEBT_LOG'
    """
    return f"TWOFOLD_{service.upper().replace('-', '_')}_{what}"


def without_password(url: str) -> str:
    """Return a URL as it may be shown.

    >>> without_password("postgres://shop:secret@db/shop?password=secret")
    'postgres://shop:***@db/shop?password=***'
    """
    return re.sub(r"(?<=[?&]password=)[^&]*", "***", re.sub(r"(?<=://)([^:/@]*):.*@", r"\1:***@", url))


def _checked(variable: str, url: str, what: str, known: Mapping[str, str]) -> str:
    if flaw := _flaw(url, known):
        example = f"For example {variable}={_EXAMPLES[what]}"
        raise SettingsError(f"{variable}={without_password(url)!r}: {flaw} {example}")
    return url


def _flaw(url: str, known: Mapping[str, str]) -> str:
    scheme = urlsplit(url).scheme
    if scheme not in known:
        return f"{scheme or 'no scheme'!r} is not one of {', '.join(f'{each}:' for each in known)}."
    if scheme == "sqlite" and not (url.startswith("sqlite:///") and len(url) > len("sqlite:///")):
        return "a file is named after three slashes, four if absolute."
    return ""


def open_store(url: str, clock: Clock) -> Store:
    """Return the log's store that a URL names; it is not opened yet.

    Raises:
        SettingsError: the adapter's driver is not installed.
    """
    store: Store = _adapter(url, _STORES)(url, clock)
    return store


def open_views(url: str, clock: Clock) -> ViewStore:
    """Return the views' store that a URL names; it is not opened yet.

    Raises:
        SettingsError: the adapter's driver is not installed.
    """
    views: ViewStore = _adapter(url, _VIEW_STORES)(url, clock)
    return views


def open_transport(url: str, clock: Clock, sources: Iterable[str] = ()) -> Transport:
    """Return the transport that a URL names, by which the sources are to be heard.

    Raises:
        SettingsError: the adapter's driver is not installed, or the URL does not say what it needs.
    """
    transport: Transport = _adapter(url, _TRANSPORTS)(url, clock, sources)
    return transport


def _adapter(url: str, known: Mapping[str, str]) -> Any:
    if flaw := _flaw(url, known):
        raise SettingsError(f"{without_password(url)!r}: {flaw}")
    scheme = urlsplit(url).scheme
    module, _, function = known[scheme].partition(":")
    try:
        return getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("twofold"):
            raise SettingsError(f"This version of Twofold has no adapter for {scheme}: yet.") from error
        raise SettingsError(
            f"{scheme}: needs the package {error.name}. Install it: pip install 'twofold[{_EXTRAS.get(scheme, scheme)}]'."
        ) from error
