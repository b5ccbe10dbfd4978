"""Checks of services that run together: what one hears of another is told, and what one asks of another is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from twofold.declaration.declaration import Declaration
from twofold.errors import DeclarationError
from twofold.messages import Command, source_location
from twofold.messages.fitting import misfits


def check_together(declarations: Iterable[Declaration]) -> None:
    """Check services against each other, as far as they are in one system.

    Raises:
        DeclarationError: one subscribes to what another does not publish, or sends what another does not take.
    """
    services = {each.name: each for each in declarations}
    for service in services.values():
        for flaw in (*_not_published(service, services), *_not_taken(service, services)):
            raise DeclarationError(f"{service.name} {flaw}")


def _not_published(service: Declaration, services: Mapping[str, Declaration]) -> Iterator[str]:
    for event in service.subscribes:
        source, name = event.message_source, event.message_name.removeprefix(f"{event.message_source}.")
        if source in services and name not in [each.message_name for each in services[source].publishes]:
            yield (
                f"subscribes to {event.message_name}, and {source} does not publish {name}. Add the event to publishes=[…] of "
                f"{source}, or correct the name."
            )


def _not_taken(service: Declaration, services: Mapping[str, Declaration]) -> Iterator[str]:
    for command in service.sent:
        target = services.get(command.message_service)
        if target is not None:
            for flaw in _flaws(service, command, target):
                yield f"sends {source_location(command)}, {flaw}"


def _flaws(service: Declaration, command: type[Command], target: Declaration) -> Iterator[str]:
    name = command.message_name
    if service.name not in target.takes_commands_from:
        yield f"and {target.name} does not take its commands. Add takes_commands_from=[{service.name!r}] to {target.name}."
    decided = target.commands.get(name)
    if decided is None:
        known = ", ".join(target.commands) or "none"
        yield f"and {target.name} decides on no {name}. Correct the name; there are {known}."
    else:
        for misfit in misfits(command, decided):
            yield f"and {target.name} could not take it as {source_location(decided)}: {misfit}."
