"""What `twofold contracts` has written, as it is read again to be compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from twofold.contracts.document import REJECTIONS, STORED, TAGS, VERSION
from twofold.errors import InvalidMessage


class Reference(msgspec.Struct, frozen=True):
    """A place in the document."""

    ref: str = msgspec.field(name="$ref")

    @property
    def steps(self) -> list[str]:
        """The names that lead there."""
        return self.ref.removeprefix("#/").split("/")


class Described(msgspec.Struct, frozen=True):
    """A message: its schema, and what an event or a command has besides. An event whose version is 0 is somebody else's."""

    name: str
    payload: dict[str, Any]
    version: int = msgspec.field(name=VERSION, default=0)
    tags: list[tuple[str, str]] = msgspec.field(name=TAGS, default_factory=list)
    rejections: dict[str, str] = msgspec.field(name=REJECTIONS, default_factory=dict)


class _Channel(msgspec.Struct, frozen=True):
    messages: dict[str, Reference]


class _Operation(msgspec.Struct, frozen=True):
    messages: list[Reference]


class _Components(msgspec.Struct, frozen=True):
    messages: dict[str, Described]
    schemas: dict[str, dict[str, Any]]


class Contract(msgspec.Struct, frozen=True):
    """The contract of one service, or of several."""

    channels: dict[str, _Channel]
    operations: dict[str, _Operation]
    components: _Components
    stored: dict[str, dict[str, Reference]] = msgspec.field(name=STORED)

    @property
    def services(self) -> list[str]:
        """The services that it is of."""
        return [*self.stored]

    def published(self, service: str) -> dict[str, Described]:
        """Return the events that a service publishes, by name."""
        return self._messages(f"{service}.publishes")

    def commands(self, service: str) -> dict[str, Described]:
        """Return the commands that a service decides on, by name."""
        return self._messages(f"{service}.decides")

    def events(self, service: str) -> Iterator[tuple[str, Described]]:
        """Yield the events in a service's log, each with its name there."""
        for name, reference in self.stored.get(service, {}).items():
            yield name, self.components.messages[reference.steps[-1]]

    def senders(self, service: str) -> list[str]:
        """Return the services from which a service takes commands."""
        prefix = f"{service}.takes."
        return [name.removeprefix(prefix) for name in self.operations if name.startswith(prefix)]

    def hearers(self, service: str, event: str) -> list[str]:
        """Return the services of which it is known that they subscribe to an event of a service."""
        suffix = f".hears.{service}"
        heard = [name for name in self.operations if name.endswith(suffix) and event in self._messages(name)]
        return [name.removesuffix(suffix) for name in heard]

    def told_by(self, source: str, service: str, event: str) -> Described | None:
        """Return what a source publishes of an event that a service hears, if that is known."""
        found = self._messages(f"{service}.hears.{source}").get(event)
        return found if found and found.version else None

    def _messages(self, operation: str) -> dict[str, Described]:
        found = self.operations.get(operation)
        described = [self._described(each.steps) for each in found.messages] if found else []
        return {each.name: each for each in described}

    def _described(self, steps: Sequence[str]) -> Described:
        _, channel, _, key = steps
        return self.components.messages[self.channels[channel].messages[key].steps[-1]]


def contract_in(document: Any) -> Contract:
    """Return the contract that a document is.

    Raises:
        InvalidMessage: it is none that `twofold contracts` has written.
    """
    try:
        return msgspec.convert(document, Contract)
    except msgspec.ValidationError as error:
        raise InvalidMessage(
            f"It is no contract that `twofold contracts` has written: {error}. Write it anew, with the code of before."
        ) from error
