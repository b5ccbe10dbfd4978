"""Resources: what event handlers work with, such as the client of an API, opened with the service and closed after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from twofold.errors import SettingsError
from twofold.messages import source_location
from twofold.processes.event_handlers import EventHandler

Resources: TypeAlias = Mapping[type[Any], Callable[[], AbstractAsyncContextManager[Any]]]
"""What opens each resource, by the class with which handlers' parameters are annotated."""

NO_RESOURCES: Final[Resources] = MappingProxyType({})


def resource_flaws(given: Any, handlers: Iterable[EventHandler]) -> Iterator[str]:
    """Yield what is wrong with what is to open resources: some are none that a handler takes, or cannot be opened."""
    if not isinstance(given, Mapping):
        yield "resources= takes a mapping from classes to what opens them, as in resources={Mailer: open_mailer}."
        return
    taken = list(dict.fromkeys(kind for handler in handlers for kind in handler.resources.values()))
    for kind, opens in given.items():
        if kind not in taken:
            known = f"They take {', '.join(each.__name__ for each in taken)}." if taken else "They take none."
            yield f"no event handler takes the resource {source_location(kind)}. {known}"
        elif not callable(opens):
            yield (
                f"the resource {kind.__name__} is to be opened by {opens!r}, which cannot be called. Give a function that "
                "returns an async context manager."
            )


async def opened_resources(
    service: str, declared: Resources, given: Resources, handlers: Sequence[EventHandler], stack: AsyncExitStack
) -> dict[type, Any]:
    """Open what the handlers take, each once, in the order in which it is declared; the stack closes it in reverse.

    What is ``given`` is opened instead of what is ``declared`` for the same class.

    Raises:
        SettingsError: a handler takes something that nothing opens or that cannot be opened, or something is opened that
            none takes; the text names it.
    """
    for flaw in resource_flaws(given, handlers):
        raise SettingsError(f"{service}: {flaw}")
    resources = {**declared, **given}
    for handler in handlers:
        for parameter, kind in handler.resources.items():
            if kind not in resources:
                raise SettingsError(
                    f"{service}: {handler.name} takes {parameter}: {kind.__name__}, and nothing opens that. Declare "
                    f"Service(…, resources={{{kind.__name__}: …}}), or give it to run(resources=…)."
                )
    return {kind: await _opened(service, kind, opens, stack) for kind, opens in resources.items()}


async def _opened(
    service: str, kind: type, opens: Callable[[], AbstractAsyncContextManager[Any]], stack: AsyncExitStack
) -> Any:
    try:
        return await stack.enter_async_context(opens())
    except Exception as error:
        raise SettingsError(
            f"{service}: the resource {kind.__name__} cannot be opened by {source_location(opens)}: "
            f"{type(error).__name__}: {error}"
        ) from error
