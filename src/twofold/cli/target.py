"""What a command is about: ``module:name`` is a service or a system, and a URL is a log."""

from __future__ import annotations

import difflib
import importlib
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any

import click

from twofold.errors import TwofoldError
from twofold.service import Service, System
from twofold.urls import without_password

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from twofold.operations.databases import Databases

TARGET = click.argument("target")
SERVICE = click.option("--service", metavar="NAME", help="Which service, if TARGET is a system.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")

_TARGET = re.compile(r"(?P<module>\w+(\.\w+)*)(:(?P<name>\w+))?")


class WithDefault(click.Group):
    """A group one of whose commands is meant where none is named."""

    def __init__(self, *args: Any, default: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the name of the default command before what is not the name of another."""
        if args and args[0] not in (*self.commands, *self.get_help_option_names(ctx)):
            args = [self._default, *args]
        return super().parse_args(ctx, args)


class Complaint(click.ClickException):
    """What went wrong and what to do, in one line; the exit code is 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """Write it to standard error."""
        click.echo(f"twofold: {self.format_message()}", err=True)


def load(target: str) -> Service | System:
    """Import a target; the current folder is looked in first, as it is by ``python -m``.

    Raises:
        Complaint: it is not there, or not a service or system; the text lists those that are.
    """
    parts = _TARGET.fullmatch(target)
    if parts is None or target.endswith(".py"):
        shown = without_password(target) if any(sign in target for sign in ("://", "@", "=")) else target
        raise Complaint(f"{shown!r} is not module:name, such as bank:bank for the service bank in the file bank.py.")
    module = _import(parts["module"])
    found = getattr(module, parts["name"], None) if parts["name"] else None
    if isinstance(found, Service | System):
        return found
    raise Complaint(f"{_what_is_wrong(module, parts['name'])} {_what_there_is(module, parts['name'] or '')}")


def _import(name: str) -> ModuleType:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            raise Complaint(
                f"There is no module {missing!r} in {folder}, and none is installed. Go to the folder that has it."
            ) from error
        raise Complaint(f"{_place(error)} imports {missing}, which is not installed.") from error
    except TwofoldError as error:
        raise Complaint(str(error)) from error
    except SyntaxError as error:
        raise Complaint(f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}") from error
    except Exception as error:
        raise Complaint(f"{_place(error)}: {type(error).__name__}: {error}") from error


def _place(error: Exception) -> str:
    """Return the line, outside of the import machinery, in which importing failed."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if not each.filename.startswith("<")]
    return f"{frames[-1].filename}:{frames[-1].lineno}"


def _what_is_wrong(module: ModuleType, name: str | None) -> str:
    if name is None:
        return f"Which service of {module.__name__} is not said."
    if not hasattr(module, name):
        return f"{module.__name__} has no {name!r}."
    found = getattr(module, name)
    kind = "class" if isinstance(found, type) else type(found).__name__
    return f"{module.__name__}:{name} is a {kind}, and no Service or System."


def _what_there_is(module: ModuleType, name: str) -> str:
    there = [name for name, value in vars(module).items() if isinstance(value, Service | System)]
    near = difflib.get_close_matches(name, there, n=len(there) or 1, cutoff=0)
    listed = ", ".join(f"{module.__name__}:{name}" for name in near or there)
    return f"There is {listed}." if listed else "There is no Service and no System in it."


def services(target: str, only: str | None = None) -> list[Service]:
    """Return the services of a target, or the one that is named.

    Raises:
        Complaint: there is no such target, or it has no such service; the text lists them.
    """
    found = load(target)
    listed = {found.name: found} if isinstance(found, Service) else found.services
    if only is not None and only not in listed:
        raise Complaint(f"{target} has no service {only!r}. It has {', '.join(listed)}.")
    return list(listed.values()) if only is None else [listed[only]]


def one_service(target: str, only: str | None) -> Service:
    """Return the service of a target; of a system, one has to be named.

    Raises:
        Complaint: there is no such target, or it is not said which service; the text lists them.
    """
    found = services(target, only)
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise Complaint(f"{target} is a system. Say which of its services: --service with one of {names}.")
    return found[0]


def log_url(target: str, service: str | None) -> str:
    """Return the URL of a log: of the service that a target names, or the target itself if it is one.

    Raises:
        Complaint: it is neither, or it is not said which service; the text says what there is.
    """
    from twofold.service import read_settings
    from twofold.service.adapters import is_in_memory

    if "/" in target or is_in_memory(target):
        return target
    return str(read_settings(one_service(target, service).name).log)


def opened(service: Service, *, to_mend: bool = False) -> AbstractAsyncContextManager[Databases]:
    """Open a service's databases by the settings in the environment: to look at only, or ``to_mend`` something."""
    from twofold.operations import databases
    from twofold.service import read_settings

    return databases.opened(service.declaration, read_settings(service.name), to_mend=to_mend)
