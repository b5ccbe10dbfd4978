"""Adapters by name: a URL's scheme is the name of an entry point of an installed package, of ours as of anybody's.

What a package registers, and what its module may say besides, is in docs/adapters.md.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any

import msgspec
from typing_extensions import get_protocol_members

from twofold.clock import LAST_DAY_US, Clock, SystemClock
from twofold.errors import SettingsError
from twofold.limits import Limits
from twofold.log import LogStore
from twofold.messaging import Transport
from twofold.service.installed import REINSTALL, Adapter, find, unknown
from twofold.urls import without_password
from twofold.views import ViewStore


class Port(msgspec.Struct, frozen=True):
    """What an adapter is for: the group of its entry points, its factory as that is called, and what the factory makes."""

    group: str
    factory: str
    protocol: Any


_SUITE = "Whoever writes one finds its suite in `twofold.testing`."
_CLOCK = "Whoever writes one begins with a subclass of `twofold.clock.SystemClock`."

LOGS = Port("twofold.logs", "open_log(url, clock, limits)", LogStore)
VIEWS = Port("twofold.views", "open_views(url, clock, limits)", ViewStore)
TRANSPORTS = Port("twofold.transports", "open_transport(url, clock, limits, sources)", Transport)


def open_log(given: LogStore | str, clock: Clock, limits: Limits = Limits()) -> LogStore:
    """Return the log's store that a URL names, or the one that is given; it is not opened yet.

    Raises:
        SettingsError: there is no such adapter, it cannot be used, its driver is not installed, or it is no store.
    """
    store: LogStore = _made(given, LOGS, clock, limits)
    return store


def open_views(given: ViewStore | str, clock: Clock, limits: Limits = Limits()) -> ViewStore:
    """Return the views' store that a URL names, or the one that is given; it is not opened yet.

    Raises:
        SettingsError: as `open_log` does.
    """
    views: ViewStore = _made(given, VIEWS, clock, limits)
    return views


def open_transport(
    given: Transport | str, clock: Clock, limits: Limits = Limits(), sources: Iterable[str] = ()
) -> Transport:
    """Return the transport that a URL names, or the one that is given, by which the sources are to be heard.

    Raises:
        SettingsError: as `open_log` does, or the URL does not say what the transport needs.
    """
    transport: Transport = _made(given, TRANSPORTS, clock, limits, sources)
    return transport


def clock_of(given: Clock | None) -> Clock:
    """Return the clock that is given, or the system's if none is.

    Raises:
        SettingsError: it is no clock, or it is at a time that no database takes.
    """
    if given is None:
        return SystemClock()
    clock: Clock = _checked(given, Clock, type(given).__qualname__, _CLOCK)
    now: Any = clock.now_us()
    if not (isinstance(now, int) and 0 <= now < LAST_DAY_US):
        raise SettingsError(
            f"{type(given).__qualname__}.now_us() is {now!r}. Let it return whole microseconds since 1970-01-01T00:00Z, from "
            f"0 to {LAST_DAY_US - 1}."
        )
    return clock


def flaw_of(url: str, port: Port) -> str:
    """Return what is wrong with a URL as a sentence, '' if nothing is: as far as that can be known without opening it.

    Raises:
        SettingsError: its adapter cannot be used, or its driver is not installed.
    """
    return _found(url, port)[1]


def file_of(given: Any, port: Port) -> str:
    """Return the full path of the file that a URL names, however it is written; '' if that is no file of its own."""
    adapter = _found(given, port)[0] if isinstance(given, str) else None
    return adapter.file_of(given) if adapter else ""


def location_of(url: str, port: Port) -> str:
    """Return where a URL leads, which is the same for two that lead to one file."""
    return file_of(url, port) or url


def is_in_memory(given: Any) -> bool:
    """Say whether something is in the memory of this process alone, as whatever is given as an object is taken to be."""
    return not isinstance(given, str) or given.startswith("memory:")


def _found(url: str, port: Port) -> tuple[Adapter | None, str]:
    """Return the adapter that a URL leads to, if there is one, and what is wrong with the URL."""
    if not url.strip():
        return None, "it is empty."
    if url != url.strip() or not url.isprintable():
        return None, "white space at its beginning or end, and control characters anywhere, are not part of a URL."
    adapter = find(url, port.group)
    if adapter is None:
        return None, unknown(url, port.group)
    if left := re.search(r"\{\w*\}", url.rpartition("@")[2]):
        return adapter, f"{left[0]} stands for nothing here; in a setting, {{service}} is the service's name."
    return adapter, adapter.flaw_of(url)


def _made(given: Any, port: Port, *arguments: Any) -> Any:
    if not isinstance(given, str):
        return _checked(given, port.protocol, type(given).__qualname__, _SUITE)
    made = _made_of_url(given, port, arguments)
    return _checked(made, port.protocol, f"What {without_password(given)!r} leads to", _SUITE)


def _checked(made: Any, protocol: Any, whose: str, cure: str) -> Any:
    if isinstance(made, type):
        raise SettingsError(f"{made.__qualname__} is a class. Give an object of it: {made.__qualname__}(…).")
    if lacking := sorted(each for each in get_protocol_members(protocol) if not hasattr(made, each)):
        raise SettingsError(f"{whose} is no {protocol.__name__}: it lacks {', '.join(lacking)}. {cure}")
    return made


def _made_of_url(url: str, port: Port, arguments: tuple[Any, ...]) -> Any:
    adapter, flaw = _found(url, port)
    if adapter is None or flaw:
        raise SettingsError(f"{without_password(url)!r}: {flaw}")
    try:
        inspect.signature(adapter.factory).bind(url, *arguments)
    except TypeError as error:
        raise SettingsError(
            f"{_scheme(url)}: leads to {adapter.factory!r}, which cannot be called as {port.factory}: {error}. {REINSTALL}"
        ) from error
    return adapter.factory(url, *arguments)


def _scheme(url: str) -> str:
    return url.partition(":")[0]
