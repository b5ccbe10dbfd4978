"""A service as it was when its log was written, and as code that was changed since has it."""

import sys
import types
from typing import Any

from twofold import Service

BEFORE = """
from collections.abc import Iterator
from typing import Annotated, Self

import msgspec

from twofold import Aggregate, Command, Event, Service, Tag, View, decide, evolve, replace
from twofold.messages import upcast

MeterId = Annotated[str, Tag("meter")]


class Part(msgspec.Struct, frozen=True):
    phase: str
    load: int = 0


class Read(Command):
    meter: MeterId
    units: int


class Opened(Event):
    meter: MeterId


class Measured(Event):
    meter: MeterId
    units: int
    parts: list[Part] = []


class Meter(Aggregate, key=MeterId):
    total: int = 0

    @decide
    def read(self, command: Read) -> Iterator[Opened | Measured]:
        if not self.total:
            yield Opened(meter=command.meter)
        yield Measured(meter=command.meter, units=command.units, parts=[Part("L1", 1), Part("L2", 2)])

    @evolve
    def opened(self, event: Opened) -> Self:
        return self

    @evolve
    def measured(self, event: Measured) -> Self:
        return replace(self, total=self.total + event.units)


class Usage(View, key=MeterId):
    total: int = 0

    @evolve
    def measured(self, event: Measured) -> Self:
        return replace(self, total=self.total + event.units)


metering = Service("metering", aggregates=[Meter], views=[Usage])
"""


def changed(*changes: tuple[str, str]) -> str:
    """Return the source with texts replaced by others, wherever they stand."""
    source = BEFORE
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    return source


def loaded(source: str = BEFORE) -> Any:
    """Return a module made of a source."""
    module = types.ModuleType("changing")
    sys.modules["changing"] = module
    exec(source, vars(module))  # noqa: S102 -- it is the source above, changed
    return module


def service(*changes: tuple[str, str]) -> Service:
    """Return the service as changed code has it."""
    found: Service = loaded(changed(*changes)).metering
    return found
