"""Settings: URLs from the environment, checked before anything starts."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from twofold.clock import Clock
from twofold.errors import SettingsError
from twofold.limits import Limits, read_limits, variables
from twofold.log import LogStore
from twofold.messaging import Transport
from twofold.urls import without_password
from twofold.views import ViewStore


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a service keeps its log and its views, and how it hears of others: three URLs. And the limits of its process."""

    log: str
    views: str
    transport: str = ""
    limits: Limits = Limits()

    def __repr__(self) -> str:
        """Show the URLs without what is secret in them, and of the limits those that are set."""
        shown = [f"{name}={without_password(getattr(self, name))!r}" for name in ("log", "views", "transport")]
        limits = [f"limits={self.limits!r}"] if self.limits != Limits() else []
        return f"Settings({', '.join(shown + limits)})"


_STORES = {
    "memory": "twofold.adapters.memory.log:open_log",
    "sqlite": "twofold.adapters.sqlite.log:open_log",
    "postgresql": "twofold.adapters.postgres.log:open_log",
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
_PREFIX = "TWOFOLD_"
_LIMITS = variables()
# Read by the edges.
_OTHERS = ("ALLOWED_HOSTS", "ALLOWED_ORIGINS")
# Read by the tests and benchmarks of Twofold itself, and of its adapters.
_DEVELOPERS = ("TWOFOLD_TEST_", "TWOFOLD_BENCH_")
_OF_A_SERVICE = re.compile(rf"{_PREFIX}([A-Z0-9_]+_)?({'|'.join(_EXAMPLES)})")
_KUBERNETES = re.compile(
    rf"{_PREFIX}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)


def read_settings(service: str, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read a service's settings: ``TWOFOLD_BANK_LOG`` for the service ``bank`` alone, or else ``TWOFOLD_LOG`` for all.

    In both, ``{service}`` stands for the service's name.

    >>> read_settings("bank", {"TWOFOLD_LOG": "sqlite:///data/{service}.db"}).log
    'sqlite:///data/bank.db'

    Raises:
        SettingsError: a URL is malformed or of a kind that is not known, a limit is not what it may be, or there is a variable
            that nothing reads; the text names the variable.
    """
    check_names(environment)
    return Settings(
        log=_read(service, "LOG", f"sqlite:///{service}.db", _STORES, environment),
        views=_read(service, "VIEWS", f"sqlite:///{service}-views.db", _VIEW_STORES, environment),
        transport=_read(service, "TRANSPORT", "", _TRANSPORTS, environment),
        limits=read_limits(environment),
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


def check_names(environment: Mapping[str, str]) -> None:
    """Check that no variable has the prefix and is read by nobody: whoever mistypes a name would run on the default.

    Variables for other services than this one are taken, as processes share their environment. So are those that Kubernetes
    makes of an object that is named ``twofold``.

    Raises:
        SettingsError: there is one; the text names it and the known one that is nearest.
    """
    unknown = sorted(name for name, value in environment.items() if not _is_known(name, value))
    if unknown:
        told = " ".join(f"{name} is not a setting. Did you mean {_nearest(name)}?" for name in unknown)
        raise SettingsError(
            f"{told} There are {', '.join(f'TWOFOLD_{each}' for each in (*_EXAMPLES, *_OTHERS))}, for one service alone "
            f"{', '.join(f'TWOFOLD_(SERVICE)_{each}' for each in _EXAMPLES)}, and those of `twofold.limits`, such as "
            "TWOFOLD_MAX_BODY_BYTES."
        )


def _is_known(name: str, value: str) -> bool:
    if not name.upper().startswith(_PREFIX) or name.startswith(_DEVELOPERS):
        return True
    is_read = name in _LIMITS or name.removeprefix(_PREFIX) in _OTHERS or _OF_A_SERVICE.fullmatch(name)
    return bool(is_read or _KUBERNETES.fullmatch(name) or (name.endswith("_PORT") and "://" in value))


def _nearest(name: str) -> str:
    words = name.upper().removeprefix(_PREFIX).split("_")
    # What is before a setting's own name is a service's, unless it is a setting's or a limit's, too.
    services = ["_".join(words[:count]) for count in range(1, len(words)) if words[count - 1] not in _EXAMPLES]
    if any(each.startswith(f"{_PREFIX}{words[0]}_") for each in _LIMITS):
        services = []
    names = [*[f"{_PREFIX}{each}" for each in (*_EXAMPLES, *_OTHERS)], *_LIMITS]
    names += [variable(service, each) for service in services for each in _EXAMPLES]
    return difflib.get_close_matches(name.upper(), names, n=1, cutoff=0)[0]


def _checked(variable: str, url: str, what: str, known: Mapping[str, str]) -> str:
    if flaw := _flaw(url, known):
        example = f"For example {variable}={_EXAMPLES[what]}"
        raise SettingsError(f"{variable}={without_password(url)!r}: {flaw} {example}")
    return url


def _flaw(url: str, known: Mapping[str, str]) -> str:
    scheme, colon, rest = url.partition(":")
    if not url.strip():
        return "it is empty."
    if url != url.strip() or not url.isprintable():
        return "white space at its beginning or end, and control characters anywhere, are not part of a URL."
    if scheme not in known:
        named = (
            f"{scheme!r} is not one of"
            if colon and rest.startswith("//") and scheme.isalnum()
            else "it begins with none of"
        )
        return f"{named} {', '.join(f'{each}:' for each in known)}."
    if left := re.search(r"\{\w*\}", url.rpartition("@")[2]):
        return f"{left[0]} stands for nothing here; in a setting, {{service}} is the service's name."
    if scheme == "sqlite":
        return _file_flaw(url)
    return ""


def _file_flaw(url: str) -> str:
    if not (url.startswith("sqlite:///") and len(url) > len("sqlite:///")):
        return "a file is named after three slashes, four if absolute."
    if "?" in url or "#" in url:
        return "a file has no parameters; in its name, write %3F for a question mark and %23 for a number sign."
    return ""


def location_of(url: str) -> str:
    """Return where a URL leads: of a file its full path, however it is written."""
    return str(Path(unquote(url.removeprefix("sqlite:///"))).resolve()) if url.startswith("sqlite:///") else url


def check_files(settings: Settings) -> None:
    """Check that log and views are in files of their own: each has its own tables, versions and durability.

    Raises:
        SettingsError: they are in one SQLite file.
    """
    if settings.log.startswith("sqlite:") and location_of(settings.log) == location_of(settings.views):
        raise SettingsError(
            f"{without_password(settings.log)!r} is said to hold the log and the views, and each of them needs a file of its "
            f"own. Keep the one for the log, and give the views another, for example {_EXAMPLES['VIEWS']}."
        )


def open_log(url: str, clock: Clock, limits: Limits = Limits()) -> LogStore:
    """Return the log's store that a URL names; it is not opened yet.

    Raises:
        SettingsError: the adapter's driver is not installed.
    """
    store: LogStore = _adapter(url, _STORES)(url, clock, limits)
    return store


def open_views(url: str, clock: Clock, limits: Limits = Limits()) -> ViewStore:
    """Return the views' store that a URL names; it is not opened yet.

    Raises:
        SettingsError: the adapter's driver is not installed.
    """
    views: ViewStore = _adapter(url, _VIEW_STORES)(url, clock, limits)
    return views


def open_transport(url: str, clock: Clock, limits: Limits = Limits(), sources: Iterable[str] = ()) -> Transport:
    """Return the transport that a URL names, by which the sources are to be heard.

    Raises:
        SettingsError: the adapter's driver is not installed, or the URL does not say what it needs.
    """
    transport: Transport = _adapter(url, _TRANSPORTS)(url, clock, limits, sources)
    return transport


def _adapter(url: str, known: Mapping[str, str]) -> Any:
    if flaw := _flaw(url, known):
        raise SettingsError(f"{without_password(url)!r}: {flaw}")
    scheme = url.partition(":")[0]
    module, _, function = known[scheme].partition(":")
    try:
        return getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("twofold"):
            raise SettingsError(f"This version of Twofold has no adapter for {scheme}: yet.") from error
        raise SettingsError(
            f"{scheme}: needs the package {error.name}. Install it: pip install 'twofold[{_EXTRAS.get(scheme, scheme)}]'."
        ) from error
