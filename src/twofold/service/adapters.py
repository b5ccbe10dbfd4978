"""Adapters by name: a URL's scheme is the name of an entry point of an installed package, of ours as of anybody's.

What a package registers, and what its module may say besides, is in docs/adapters.md.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec
from typing_extensions import get_protocol_members

from twofold.clock import Clock
from twofold.errors import SettingsError
from twofold.limits import Limits
from twofold.log import LogStore
from twofold.messaging import Transport
from twofold.urls import without_password
from twofold.views import ViewStore

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_REINSTALL = "Install its package again, in a version that goes with this Twofold."
_REINSTALL_TWOFOLD = "Install Twofold again, as its code is newer: in a checkout, python -m pip install --editable ."


class Port(msgspec.Struct, frozen=True):
    """What an adapter is for: the group of its entry points, its factory as that is called, and what the factory makes."""

    group: str
    factory: str
    protocol: Any


LOGS = Port("twofold.logs", "open_log(url, clock, limits)", LogStore)
VIEWS = Port("twofold.views", "open_views(url, clock, limits)", ViewStore)
TRANSPORTS = Port("twofold.transports", "open_transport(url, clock, limits, sources)", Transport)


class Adapter(msgspec.Struct, frozen=True):
    """What an entry point leads to: the factory, and the module that it is in."""

    factory: Callable[..., Any]
    module: ModuleType

    def flaw_of(self, url: str) -> str:
        """Return what is wrong with a URL as a sentence, as far as the adapter says so before it opens anything."""
        found: str = getattr(self.module, "flaw_of", _nothing)(url)
        return found

    def file_of(self, url: str) -> str:
        """Return the full path of the file that a URL names, '' if the adapter keeps nothing in a file of its own."""
        found: str = getattr(self.module, "file_of", _nothing)(url)
        return str(Path(found).resolve()) if found else ""


def _nothing(url: str) -> str:
    return ""


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


def _found(url: str, port: Port) -> tuple[Adapter | None, str]:
    """Return the adapter that a URL leads to, if there is one, and what is wrong with the URL."""
    if not url.strip():
        return None, "it is empty."
    if url != url.strip() or not url.isprintable():
        return None, "white space at its beginning or end, and control characters anywhere, are not part of a URL."
    adapter = _adapter(url, port)
    if adapter is None:
        return None, _unknown(url, port)
    if left := re.search(r"\{\w*\}", url.rpartition("@")[2]):
        return adapter, f"{left[0]} stands for nothing here; in a setting, {{service}} is the service's name."
    return adapter, adapter.flaw_of(url)


def _made(given: Any, port: Port, *arguments: Any) -> Any:
    made = _made_of_url(given, port, arguments) if isinstance(given, str) else given
    if lacking := sorted(each for each in get_protocol_members(port.protocol) if not hasattr(made, each)):
        whose = f"What {without_password(given)!r} leads to" if isinstance(given, str) else type(made).__qualname__
        raise SettingsError(
            f"{whose} is no {port.protocol.__name__}: it lacks {', '.join(lacking)}. Whoever writes one finds its suite in "
            "`twofold.testing`."
        )
    return made


def _made_of_url(url: str, port: Port, arguments: tuple[Any, ...]) -> Any:
    adapter, flaw = _found(url, port)
    if adapter is None or flaw:
        raise SettingsError(f"{without_password(url)!r}: {flaw}")
    try:
        inspect.signature(adapter.factory).bind(url, *arguments)
    except TypeError as error:
        raise SettingsError(
            f"{_scheme(url)}: leads to {adapter.factory!r}, which cannot be called as {port.factory}: {error}. {_REINSTALL}"
        ) from error
    return adapter.factory(url, *arguments)


def _scheme(url: str) -> str:
    return url.partition(":")[0]


@lru_cache
def _registered(group: str, path: tuple[str, ...]) -> list[EntryPoint]:
    """Return the entry points of a group; looking takes milliseconds, and it is done again when ``sys.path`` changes."""
    # Only now, as it takes as long to import as half of Twofold.
    from importlib.metadata import entry_points

    return sorted(entry_points(group=group), key=attrgetter("name"))


def _adapter(url: str, port: Port) -> Adapter | None:
    entries = [each for each in _registered(port.group, tuple(sys.path)) if url.startswith(f"{each.name}:")]
    if len(entries) > 1:
        raise SettingsError(
            f"{entries[0].name}: is registered in {port.group} by {' and by '.join(sorted(map(_origin, entries)))}, and "
            "nothing says which of them is meant. Uninstall all but one."
        )
    return _loaded(entries[0], port) if entries else None


def _loaded(entry: EntryPoint, port: Port) -> Adapter:
    try:
        return Adapter(entry.load(), import_module(entry.module))
    except ModuleNotFoundError as error:
        if error.name and not f"{entry.module}.".startswith(f"{error.name}."):
            raise SettingsError(
                f"{entry.name}: needs the package {error.name}. Install it: {_installing(entry, error.name)}."
            ) from error
        raise _unusable(entry, port, error) from error
    except Exception as error:
        raise _unusable(entry, port, error) from error


def _unusable(entry: EntryPoint, port: Port, error: Exception) -> SettingsError:
    cure = _REINSTALL_TWOFOLD if _is_ours(entry) else _REINSTALL
    return SettingsError(
        f"{entry.name}: is {entry.value} in {port.group}, by {_origin(entry)}, and that cannot be imported: "
        f"{type(error).__name__}: {error}. {cure}"
    )


def _is_ours(entry: EntryPoint) -> bool:
    return entry.dist is not None and entry.dist.name == "twofold"


def _origin(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"


def _installing(entry: EntryPoint, module: str) -> str:
    """Return how to install what an adapter needs: by the extra of its package that brings it, if there is one."""
    requirement = re.compile(rf"{re.escape(module)}\b[^;]*;.*\bextra\s*==\s*['\"]([\w.-]+)['\"]", re.IGNORECASE)
    for each in (entry.dist.requires if entry.dist else None) or []:
        if entry.dist and (found := requirement.match(each)):
            return f"pip install '{entry.dist.name}[{found[1]}]'"
    return f"pip install {module}"


def _unknown(url: str, port: Port) -> str:
    """Return what to do about a scheme that nobody has registered."""
    entries = _registered(port.group, tuple(sys.path))
    if not any(map(_is_ours, entries)):
        return f"Twofold has registered nothing in {port.group}. {_REINSTALL_TWOFOLD}"
    scheme, colon, rest = url.partition(":")
    is_one = colon and rest.startswith("//") and scheme.isalnum()
    return (
        f"{f'{scheme!r} is not one of' if is_one else 'it begins with none of'} "
        f"{', '.join(f'{each.name}:' for each in entries)}, which are installed; other packages register theirs in "
        f"{port.group}."
    )
