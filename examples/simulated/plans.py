"""A decision that has forgotten the past: of plans that are not sold any more, some customers still have one."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from twofold import Aggregate, Command, Event, Rejected, Service, Tag, decide, evolve, replace

CustomerId = Annotated[str, Tag("customer")]
FEES = {"basic": 5, "plus": 9}


class Subscribe(Command):
    customer: CustomerId
    plan: Literal["basic", "plus"]


class Charge(Command):
    customer: CustomerId


class Subscribed(Event):
    customer: CustomerId
    plan: str


class Charged(Event):
    customer: CustomerId
    amount: int


class NoPlan(Rejected):
    "The customer has not subscribed to anything."


class Customer(Aggregate, key=CustomerId):
    plan: str = ""
    paid: int = 0

    @decide
    def subscribe(self, command: Subscribe) -> Iterator[Subscribed]:
        yield Subscribed(customer=command.customer, plan=command.plan)

    @decide
    def charge(self, command: Charge) -> Iterator[Charged]:
        if not self.plan:
            raise NoPlan
        yield Charged(customer=command.customer, amount=FEES[self.plan])

    @evolve
    def subscribed(self, event: Subscribed) -> Self:
        return replace(self, plan=event.plan)

    @evolve
    def charged(self, event: Charged) -> Self:
        return replace(self, paid=self.paid + event.amount)


plans = Service("plans", aggregates=[Customer])
