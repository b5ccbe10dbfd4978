"""Settings: URLs from the environment, checked before anything starts."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from twofold.errors import SettingsError
from twofold.limits import Limits, read_limits, variables
from twofold.log import LogStore
from twofold.messaging import Transport
from twofold.service.adapters import LOGS, TRANSPORTS, VIEWS, Port, file_of, flaw_of
from twofold.urls import without_password
from twofold.views import ViewStore


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a service keeps its log and its views, and how it hears of others. And the limits of its process.

    Each of the three is a URL, or the object itself that is to be used.
    """

    log: LogStore | str
    views: ViewStore | str
    transport: Transport | str = ""
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        """Check that the limits are all of them, and not one group.

        Raises:
            SettingsError: they are something else.
        """
        if not isinstance(self.limits, Limits):
            raise SettingsError(
                f"Settings(limits={self.limits!r}): write limits=Limits(…), in which each group has its place, as in "
                "Limits(followers=FollowerLimits(lease_seconds=10))."
            )

    def __repr__(self) -> str:
        """Show the URLs without what is secret in them, of an object its class, and of the limits those that are set."""
        shown = [f"{name}={_shown(getattr(self, name))}" for name in ("log", "views", "transport")]
        limits = [f"limits={self.limits!r}"] if self.limits != Limits() else []
        return f"Settings({', '.join(shown + limits)})"


def _shown(given: Any) -> str:
    return repr(without_password(given)) if isinstance(given, str) else f"<{type(given).__qualname__}>"


class _UrlSetting(msgspec.Struct, frozen=True):
    """A setting that is a URL: of what, what it is if nobody says, and an example."""

    port: Port
    default: str
    example: str


_URLS = {
    "LOG": _UrlSetting(LOGS, "sqlite:///{service}.db", "sqlite:///bank.db"),
    "VIEWS": _UrlSetting(VIEWS, "sqlite:///{service}-views.db", "sqlite:///bank-views.db"),
    "TRANSPORT": _UrlSetting(TRANSPORTS, "", "feed:sales=http://127.0.0.1:8001,ledger=http://127.0.0.1:8002"),
}
_PREFIX = "TWOFOLD_"
_LIMITS = variables()
# Read by the edges.
_OTHERS = ("ALLOWED_HOSTS", "ALLOWED_ORIGINS")
# Read by the tests and benchmarks of Twofold itself, and of its adapters.
_DEVELOPERS = ("TWOFOLD_TEST_", "TWOFOLD_BENCH_")
_OF_A_SERVICE = re.compile(rf"{_PREFIX}([A-Z0-9_]+_)?({'|'.join(_URLS)})")
_KUBERNETES = re.compile(
    rf"{_PREFIX}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)


def read_settings(service: str, environment: Mapping[str, str] = os.environ, **given: Any) -> Settings:
    """Read a service's settings: ``TWOFOLD_BANK_LOG`` for the service ``bank`` alone, or else ``TWOFOLD_LOG`` for all.

    In both, ``{service}`` stands for the service's name. What is given, by the name of its field, is not read.

    >>> read_settings("bank", {"TWOFOLD_LOG": "sqlite:///data/{service}.db"}).log
    'sqlite:///data/bank.db'

    Raises:
        SettingsError: a URL is malformed or of a kind that is not known, a limit is not what it may be, or there is a variable
            that nothing reads; the text names the variable.
    """
    check_names(environment)
    read = {name.lower(): name for name in _URLS if name.lower() not in given}
    urls = {field: _read(service, name, environment) for field, name in read.items()}
    return Settings(**urls, **given, limits=read_limits(environment))


def settings_of(service: str, settings: Settings | None, **given: Any) -> Settings:
    """Return what a service runs with: what is given, by the name of its field, if it is not None; the rest by settings.

    Raises:
        SettingsError: both say where something is, or the settings are none; or as `read_settings` does, from which the rest
            is without settings.
    """
    given = {name: each for name, each in given.items() if each is not None}
    if settings is None:
        return read_settings(service, **given)
    if not isinstance(settings, Settings):
        raise SettingsError(
            f"{service}.run({_shown(settings)}): it takes Settings(log=…, views=…), or where things are by their names: "
            f"{service}.run(log=…, views=…)."
        )
    if twice := [name for name in given if getattr(settings, name) != ""]:
        raise SettingsError(
            f"{service}.run(…): the settings name the {twice[0]}, and so does {twice[0]}=…. Put it into the settings, or "
            "leave these out: what is not given is then read from the environment."
        )
    return replace(settings, **given)


def _read(service: str, what: str, environment: Mapping[str, str]) -> str:
    for name in (variable(service, what), f"TWOFOLD_{what}"):
        value = environment.get(name)
        if value is not None:
            return _checked(name, value.replace("{service}", service), _URLS[what])
    return _URLS[what].default.replace("{service}", service)


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
            f"{told} There are {', '.join(f'TWOFOLD_{each}' for each in (*_URLS, *_OTHERS))}, for one service alone "
            f"{', '.join(f'TWOFOLD_(SERVICE)_{each}' for each in _URLS)}, and those of `twofold.limits`, such as "
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
    services = ["_".join(words[:count]) for count in range(1, len(words)) if words[count - 1] not in _URLS]
    if any(each.startswith(f"{_PREFIX}{words[0]}_") for each in _LIMITS):
        services = []
    names = [*[f"{_PREFIX}{each}" for each in (*_URLS, *_OTHERS)], *_LIMITS]
    names += [variable(service, each) for service in services for each in _URLS]
    return difflib.get_close_matches(name.upper(), names, n=1, cutoff=0)[0]


def _checked(variable: str, url: str, setting: _UrlSetting) -> str:
    if flaw := flaw_of(url, setting.port):
        raise SettingsError(f"{variable}={without_password(url)!r}: {flaw} For example {variable}={setting.example}")
    return url


def check_files(settings: Settings) -> None:
    """Check that log and views are in files of their own: each has its own tables, versions and durability.

    Raises:
        SettingsError: they are in one.
    """
    file = file_of(settings.log, LOGS)
    if file and file == file_of(settings.views, VIEWS):
        raise SettingsError(
            f"{_shown(settings.log)} is said to hold the log and the views, and each of them needs a file of its own. Keep "
            f"the one for the log, and give the views another, for example {_URLS['VIEWS'].example}."
        )
