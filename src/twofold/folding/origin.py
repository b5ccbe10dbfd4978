"""Whose code a module is: the program's own, or that of a library, which is known by name and version."""

from __future__ import annotations

import functools
import sys
import sysconfig
from importlib import metadata

_INSTALLED = ("site-packages", "dist-packages")
_PYTHON = sys.implementation.cache_tag


def library_of(module: str, home: str) -> str:
    """Return the name and the version of the library that a module belongs to, or nothing if it is the program's own.

    What stands beside the code at ``home``, the name of a top-level package, is the program's own wherever it is
    installed; and so is what no version is known of.
    """
    top = module.partition(".")[0]
    return "" if top == home and top != "twofold" else _library(top)


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
    with_version = _version(top) or str(getattr(sys.modules[top], "__version__", ""))
    if not with_version:
        names = metadata.packages_distributions().get(top, [])
        with_version = " ".join(_version(name) for name in names)
    return f"{top} {with_version}" if with_version else ""


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
