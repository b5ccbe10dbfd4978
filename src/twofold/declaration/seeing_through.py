"""Checks of the processes and event handlers of a service: what they send is decided, and what they are told of can happen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from twofold.declaration.checks import check_unique
from twofold.errors import DeclarationError
from twofold.messages import Command, check_fields, source_location
from twofold.processes import Definition, EventHandler, Resources, Schedule, resource_flaws
from twofold.views import View, table_name


def check_processes(
    service: str, processes: Iterable[Definition], commands: Mapping[str, type[Command]], kept: Iterable[type[View]],
    views: Iterable[type[View]],
) -> None:  # fmt: skip
    """Check processes, and that no view has the table in which something of them is kept.

    Raises:
        DeclarationError: a command of this service is sent that nothing decides on, or a name stands for two things.
    """
    check_unique(service, "fill the table", [(table_name(each), each.__qualname__) for each in [*views, *kept]])
    for definition in processes:
        for plan in definition.plans:
            check_fields(plan.process)
            for timer in plan.timers.values():
                check_fields(timer)
            for command in plan.commands.values():
                _check_decided(service, plan.process, command, commands)


def check_handlers(
    service: str, handlers: Sequence[EventHandler], commands: Mapping[str, type[Command]], resources: Resources
) -> None:
    """Check that somebody decides on what event handlers send, and that each resource is one that they take.

    Raises:
        DeclarationError: nobody does, or it is none.
    """
    for handler in handlers:
        for command in handler.commands:
            _check_decided(service, handler.function, command, commands)
    for flaw in resource_flaws(resources, handlers):
        raise DeclarationError(f"Service({service!r}): {flaw}")


def check_schedules(service: str, schedules: Iterable[Schedule], commands: Mapping[str, type[Command]]) -> None:
    """Check that each schedule has a name of its own, and that somebody decides on what they send.

    Raises:
        DeclarationError: two have one name, or nobody does.
    """
    schedules = [*schedules]
    check_unique(service, "are the schedule", [(each.name, source_location(each.function)) for each in schedules])
    for schedule in schedules:
        for command in schedule.commands:
            _check_decided(service, schedule.function, command, commands)


def _check_decided(service: str, sender: Any, command: type[Command], commands: Mapping[str, type[Command]]) -> None:
    name = command.message_name
    if command.message_service in ("", service):
        decided = commands.get(name)
        if decided is None:
            raise DeclarationError(
                f"{source_location(sender)} sends {name}, and nothing in Service({service!r}) decides on it. Add its "
                f"decision to the service; or name the one that does: class {command.__name__}(Command, service='…')."
            )
        if decided is not command:
            raise DeclarationError(
                f"{source_location(sender)} sends {source_location(command)}, and what Service({service!r}) decides on by "
                f"this name is {source_location(decided)}. Use one class."
            )
