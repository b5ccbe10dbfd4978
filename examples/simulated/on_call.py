"""Two commands that cross: each doctor hands over to the other, and nobody is left."""

from collections.abc import Iterator
from typing import Annotated, Self

from twofold import Aggregate, Command, Event, Rejected, Service, Tag, decide, evolve, replace
from twofold.simulation import invariant

DoctorId = Annotated[str, Tag("doctor")]


class Begin(Command):
    doctor: DoctorId


class HandOver(Command):
    """The page offers only colleagues who are on call."""

    doctor: DoctorId
    colleague: DoctorId


class Began(Event):
    doctor: DoctorId


class HandedOver(Event):
    doctor: DoctorId
    colleague: str


class NotOnCall(Rejected):
    "Only who is on call can hand over, and to somebody else."


class Doctor(Aggregate, key=DoctorId):
    has_begun: bool = False
    is_on_call: bool = False

    @decide
    def begin(self, command: Begin) -> Iterator[Began]:
        yield Began(doctor=command.doctor)

    @evolve
    def began(self, event: Began) -> Self:
        return replace(self, has_begun=True, is_on_call=True)

    @evolve
    def handed_over(self, event: HandedOver) -> Self:
        return replace(self, is_on_call=False)


@decide
def hand_over(command: HandOver, doctor: Doctor) -> Iterator[HandedOver]:
    if not doctor.is_on_call or command.doctor == command.colleague:
        raise NotOnCall
    yield HandedOver(doctor=command.doctor, colleague=command.colleague)


@invariant
def somebody_is_on_call(doctors: list[Doctor]) -> bool:
    """Once two doctors have begun, at least one is on call."""
    return sum(each.has_begun for each in doctors) < 2 or any(each.is_on_call for each in doctors)


hospital = Service("hospital", aggregates=[Doctor], decisions=[hand_over])
