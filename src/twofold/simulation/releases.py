"""What is deployed: the code of some services at one time. Of two releases, each simulated process runs one or the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec.structs import fields

from twofold.declaration import Declaration, known_events
from twofold.errors import DeclarationError, InvalidMessage
from twofold.log import NewEvent, RecordedEvent
from twofold.messages import decode, encode
from twofold.service import Service, System
from twofold.simulation.probing import probed

T = TypeVar("T")


class Release:
    """Services as some code declares them. ``name`` tells it from another release, and is '' where there is no other."""

    def __init__(self, name: str, simulated: Service | System) -> None:
        listed = [simulated] if isinstance(simulated, Service) else [*simulated.services.values()]
        self.name = name
        self.services = {each.name: each for each in listed}
        self.system = System(*map(probed, listed))
        """The same, for processes to run."""
        self._events = {each.name: known_events(each.declaration) for each in listed}
        self._messages: dict[tuple[str, str], Any] = {}
        for each in listed:
            declaration = each.declaration
            queries = [answer.query for answer in declaration.answers]
            for kind in (*declaration.commands.values(), *declaration.sends, *queries):
                self._messages[each.name, kind.message_name] = kind

    def received(self, service: str, message: Any) -> Any:
        """Return a command or a query as this code gets it when other code has made it, None if it does not take it."""
        kind = self._messages.get((service, type(message).message_name))
        if kind is None or kind is type(message):
            return kind and message
        # Who does not use a new field does not send it.
        said = {
            each.encode_name: getattr(message, each.name)
            for each in fields(message)
            if getattr(message, each.name) != each.default
        }
        try:
            return decode(kind, encode(said))
        except InvalidMessage:
            return None

    def reads(self, service: str, event: NewEvent | RecordedEvent) -> bool:
        """Say whether a service knows what an event of its log is, in the version that it has there."""
        kind = self._events[service].get(event.type)
        if kind is None:
            return event.type in self.services[service].declaration.ignores
        return event.version <= kind.message_version or bool(kind.message_source)


def releases_of(simulated: Service | System, before: Service | System | None) -> list[Release]:
    """Return what is deployed in a simulated world, one release after the other.

    Raises:
        DeclarationError: they have other services, or one subscribes to a service that is not among them.
    """
    releases = [Release("", simulated)] if before is None else [Release("old", before), Release("new", simulated)]
    for each in releases:
        _check_services([*each.services.values()])
    old, new = releases[0], releases[-1]
    if old.services.keys() != new.services.keys():
        raise DeclarationError(
            f"before= has {', '.join(old.services)}, and what comes after it has {', '.join(new.services)}. What is deployed "
            "takes the place of what was there: give services of the same names."
        )
    return releases


def newest_declared(releases: Sequence[Release], of: Callable[[Declaration], Mapping[str, T]]) -> list[tuple[str, T]]:
    """Return what services declare of one kind, by name, each as the newest release has it that has it at all."""
    found: dict[tuple[str, str], T] = {}
    for release in releases[::-1]:
        for service in release.services.values():
            for name, each in of(service.declaration).items():
                found.setdefault((service.name, name), each)
    return [(service, each) for (service, _), each in found.items()]


def _check_services(services: Sequence[Service]) -> None:
    if not any(each.declaration.commands for each in services):
        raise DeclarationError(
            f"{', '.join([each.name for each in services])}: there are no commands, so nothing would happen. Simulate the "
            "service with the one that it hears of: System(…)."
        )
    names = {each.name for each in services}
    for service in services:
        for source in service.declaration.sources:
            if source not in names:
                raise DeclarationError(
                    f"{service.name} subscribes to {source}, which is not simulated. Simulate both: System({service.name}, …)."
                )
