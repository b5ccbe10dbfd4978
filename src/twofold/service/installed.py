"""What is installed: the adapters that packages have registered, found by the scheme of a URL, and what is wrong with them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec

from twofold.errors import SettingsError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_REINSTALL_TWOFOLD = "Install Twofold again, as its code is newer: in a checkout, python -m pip install --editable ."
REINSTALL = "Install its package again, in a version that goes with this Twofold."


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


def find(url: str, group: str) -> Adapter | None:
    """Return the adapter that is registered in a group of entry points for the scheme of a URL, or None.

    Raises:
        SettingsError: two packages have registered one, it cannot be imported, or its driver is not installed.
    """
    found = [each for each in _registered(group, tuple(sys.path)) if url.startswith(f"{each.name}:")]
    if len(found) > 1:
        raise SettingsError(
            f"{found[0].name}: is registered in {group} by {' and by '.join(sorted(map(_origin, found)))}, and nothing says "
            "which of them is meant. Uninstall all but one."
        )
    return _loaded(found[0]) if found else None


def unknown(url: str, group: str) -> str:
    """Return what is wrong with a URL whose scheme nobody has registered, as a sentence with what there is."""
    entries = _registered(group, tuple(sys.path))
    if not any(map(_is_ours, entries)):
        return f"Twofold has registered nothing in {group}. {_REINSTALL_TWOFOLD}"
    scheme, colon, rest = url.partition(":")
    is_one = colon and rest.startswith("//") and scheme.isalnum()
    return (
        f"{f'{scheme!r} is not one of' if is_one else 'it begins with none of'} "
        f"{', '.join(f'{each.name}:' for each in entries)}, which are installed; other packages register theirs in {group}."
    )


@lru_cache
def _registered(group: str, path: tuple[str, ...]) -> list[EntryPoint]:
    """Return the entry points of a group; looking takes milliseconds, and it is done again when ``sys.path`` changes."""
    # Only now, as it takes as long to import as half of Twofold.
    from importlib.metadata import entry_points

    return sorted(entry_points(group=group), key=attrgetter("name"))


def _loaded(entry: EntryPoint) -> Adapter:
    try:
        return Adapter(entry.load(), import_module(entry.module))
    except ModuleNotFoundError as error:
        if error.name and not f"{entry.module}.".startswith(f"{error.name}."):
            raise SettingsError(
                f"{entry.name}: needs the package {error.name}. Install it: {_installing(entry, error.name)}."
            ) from error
        raise _unusable(entry, error) from error
    except Exception as error:
        raise _unusable(entry, error) from error


def _unusable(entry: EntryPoint, error: Exception) -> SettingsError:
    cure = _REINSTALL_TWOFOLD if _is_ours(entry) else REINSTALL
    return SettingsError(
        f"{entry.name}: is {entry.value} in {entry.group}, by {_origin(entry)}, and that cannot be imported: "
        f"{type(error).__name__}: {error}. {cure}"
    )


def _is_ours(entry: EntryPoint) -> bool:
    return entry.dist is not None and entry.dist.name == "twofold"


def _origin(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"


def _installing(entry: EntryPoint, module: str) -> str:
    """Return how to install what an adapter needs: by the extra of its package that brings it, if there is one."""
    # A package aio-pika brings a module aio_pika.
    name = re.sub("[-_.]", "[-_.]", module.partition(".")[0])
    requirement = re.compile(rf"{name}\b[^;]*;.*\bextra\s*==\s*['\"]([\w.-]+)['\"]", re.IGNORECASE)
    for each in (entry.dist.requires if entry.dist else None) or []:
        if entry.dist and (found := requirement.match(each)):
            return f"pip install '{entry.dist.name}[{found[1]}]'"
    return f"pip install {module}"
