"""Finding what a command is about: ``module:name`` is a service or a system."""

from __future__ import annotations

import asyncio
import importlib
import sys
import traceback
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from twofold.clock import SystemClock
from twofold.errors import TwofoldError
from twofold.log import Log
from twofold.service import Service, System, read_settings
from twofold.service.settings import open_store, open_views
from twofold.views import ViewStore

T = TypeVar("T")


class Complaint(click.ClickException):
    """What went wrong in one line, and the exit code 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        click.echo(f"twofold: {self.format_message()}", err=True)


def load(target: str) -> Service | System:
    """Import what ``module:name`` names; the current folder is looked in first, as it is for ``python -m``."""
    sys.path.insert(0, str(Path.cwd()))
    module_name, _, attribute = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise Complaint(
                f"{target}: there is no module {module_name!r} here. Name it as for import, from the folder that has it: "
                "twofold run package.module:service"
            ) from error
        raise Complaint(f"{target}: the module needs {error.name!r}, which is not installed.") from error
    except TwofoldError as error:
        raise Complaint(f"{target}: {error}") from error
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise Complaint(f"{target}: {type(error).__name__}: {error} ({last.filename}:{last.lineno})") from error
    found = getattr(module, attribute, None) if attribute else None
    if not isinstance(found, Service | System):
        candidates = [name for name, value in vars(module).items() if isinstance(value, Service | System)]
        hint = " or ".join(f"{module_name}:{name}" for name in candidates) or "There is no Service or System in it."
        raise Complaint(f"{target} is not a service or a system. Try {hint}" if candidates else f"{target}: {hint}")
    return found


def services(target: str, only: str | None = None) -> list[Service]:
    """Return the services of a target, or the one that is named."""
    found = load(target)
    listed = {found.name: found} if isinstance(found, Service) else found.services
    if only is not None and only not in listed:
        raise Complaint(f"{target} has no service {only!r}. There is: {', '.join(listed)}.")
    return list(listed.values()) if only is None else [listed[only]]


def one_service(target: str, only: str | None) -> Service:
    """Return the service of a target; of a system, one has to be named."""
    found = services(target, only)
    if len(found) > 1:
        raise Complaint(
            f"{target} is several services. Choose one: --service {' or '.join(each.name for each in found)}"
        )
    return found[0]


@asynccontextmanager
async def opened_log(service: Service) -> AsyncIterator[Log]:
    """Open a service's log, where its settings say it is."""
    clock = SystemClock()
    log = await Log.open(open_store(read_settings(service.name).log, clock), clock)
    try:
        yield log
    finally:
        await log.close()


@asynccontextmanager
async def opened_views(service: Service) -> AsyncIterator[ViewStore]:
    """Open a service's views, where its settings say they are."""
    views = open_views(read_settings(service.name).views, SystemClock())
    try:
        await views.open()
        yield views
    finally:
        await views.close()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; what Twofold raises becomes a complaint, without a trace."""
    try:
        return asyncio.run(work)
    except TwofoldError as error:
        raise Complaint(str(error)) from error
