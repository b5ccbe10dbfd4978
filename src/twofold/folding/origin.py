"""Whose code a module is: the program's own, or that of a library, which is known by name and version."""

from __future__ import annotations

import functools
import sys
import sysconfig

_INSTALLED = ("site-packages", "dist-packages")
_PYTHON = sys.implementation.cache_tag


def library_of(module: str, home: str) -> str:
    """Return the name and the version of the library that a module belongs to, or nothing if it is the program's own.

    What stands beside the code at ``home``, the name of a top-level package, is the program's own wherever it is
    installed; and so is what no version is known of.
    """
    top = module.partition(".")[0]
    return "" if top == home and top != "twofold" else _library(top)


def library_with(name: str, value: object, home: str) -> str:
    """Return the name and the version of a library that has a value under a name, or nothing if none has."""
    found = {
        library_of(module, home)
        for module, contents in [*sys.modules.items()]
        if getattr(contents, "__dict__", {}).get(name) is value
    }
    return min(found - {""}, default="")


@functools.cache
def _library(top: str) -> str:
    found = sys.modules.get(top)
    file = getattr(found, "__file__", None)
    if file is None:
        named = top in sys.builtin_module_names or top in sys.stdlib_module_names
        file = "" if named else next(iter(getattr(found, "__path__", ())), None)
    if file is None:
        return ""
    if top == "twofold" or any(part in file for part in _INSTALLED):
        return _versioned(top)
    if not file or file.startswith(sysconfig.get_path("stdlib")):
        return f"{_PYTHON}"
    return ""


def _versioned(top: str) -> str:
    from importlib.metadata import packages_distributions

    version = _version(top) or str(getattr(sys.modules[top], "__version__", ""))
    if not version:
        version = " ".join(map(_version, packages_distributions().get(top, [])))
    return f"{top} {version}" if version else ""


def _version(distribution: str) -> str:
    # Imported here, as it is slow and declaring needs none of it.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
