"""One room for what is stored of events: whoever edits `writer` and `reader` has changed it for all who store and read."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Self

import msgspec
import pytest

from twofold import (
    Aggregate,
    Command,
    Event,
    Query,
    Service,
    System,
    Tag,
    View,
    Views,
    answer,
    decide,
    evolve,
    project,
    replace,
)
from twofold.compatibility.checking import check_log
from twofold.messages import Receipt, codec
from twofold.messages.codec import decoder, encode
from twofold.service import Running
from twofold.testing import running_system
from twofold.views import Transaction

PatientId = Annotated[str, Tag("patient")]


class Admit(Command):
    patient: PatientId
    name: str


class Rename(Command):
    patient: PatientId


class Admitted(Event):
    patient: PatientId
    name: str


class Patient(Aggregate, key=PatientId):
    name: str = ""

    @decide
    def admit(self, command: Admit) -> Iterator[Admitted]:
        yield Admitted(patient=command.patient, name=command.name)

    @decide
    def rename(self, command: Rename) -> Iterator[Admitted]:
        yield Admitted(patient=command.patient, name=f"{self.name} the second")

    @evolve
    def admitted(self, event: Admitted) -> Self:
        return replace(self, name=event.name)


class Bed(View, key=PatientId):
    name: str = ""

    @evolve
    def admitted(self, event: Admitted) -> Self:
        return replace(self, name=event.name)


class Door(View, key=PatientId):
    name: str = ""


@project(Door)
async def door(event: Admitted, rows: Transaction) -> None:
    rows.put(Door(key=event.patient, name=event.name))


class InBed(Query[str]):
    patient: str


@answer
async def in_bed(query: InBed, views: Views) -> str:
    bed, sign = await views.get(Bed, query.patient), await views.get(Door, query.patient)
    return f"{bed and bed.name}, {sign and sign.name}"


class AdmittedThere(Event, name="Admitted", source="ward"):
    patient: PatientId
    name: str


class Bill(View, key=PatientId):
    name: str = ""

    @evolve
    def admitted(self, event: AdmittedThere) -> Self:
        return replace(self, name=event.name)


class Billed(Query[str]):
    patient: str


@answer
async def billed(query: Billed, views: Views) -> str:
    bill = await views.get(Bill, query.patient)
    return bill.name if bill else ""


ward = Service("ward", aggregates=[Patient], views=[Bed], projections=[door], queries=[in_bed], publishes=[Admitted])
office = Service("office", views=[Bill], queries=[billed], subscribes=[AdmittedThere])
hospital = System(ward, office)


def sealing_writer(event: Any) -> Callable[[Any], bytes]:
    return lambda each: encode(msgspec.structs.replace(each, name=each.name[::-1]))


def opening_reader(event: Any, version: int) -> Callable[[bytes], Any]:
    def read(data: bytes) -> Any:
        each = decoder(event).decode(data)
        return msgspec.structs.replace(each, name=each.name[::-1])

    return read


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Edit the two functions where they stand, for everybody who has imported them: names are stored backwards."""
    reader: Any = codec.reader
    with monkeypatch.context() as edited:
        edited.setattr(codec.writer, "__code__", sealing_writer.__code__)
        edited.setattr(reader.__wrapped__, "__code__", opening_reader.__code__)
        reader.cache_clear()
        yield
    reader.cache_clear()


async def names(running: dict[str, Running], receipt: Receipt) -> list[str]:
    return [
        await running["ward"].ask(InBed(patient="1"), after=receipt),
        await running["office"].ask(Billed(patient="1"), after=receipt),
    ]


@pytest.mark.usefixtures("sealed")
def test_a_field_is_sealed_by_an_edit_of_one_file(tmp_path: Path) -> None:
    """The log has none of it in the open, and decisions, views, projections, other services and the check read it as it was.

    So do they after a restart, when states are read from the log again.
    """

    async def scenario() -> None:
        async with running_system(hospital, tmp_path) as running:
            receipt = await running["ward"].send(Admit(patient="1", name="Ann"))
            assert await names(running, receipt) == ["Ann, Ann", "Ann"]
        async with running_system(hospital, tmp_path) as running:
            receipt = await running["ward"].send(Rename(patient="1"))
            assert await names(running, receipt) == ["Ann the second, Ann the second", "Ann the second"]
            for service in ("ward", "office"):
                log = running[service].log
                stored = [event.data for event in await log.read()]
                assert stored == [b'{"patient":"1","name":"nnA"}', b'{"patient":"1","name":"dnoces eht nnA"}']
                assert await check_log(running[service].declaration, log, fold=True) == []

    asyncio.run(scenario())
