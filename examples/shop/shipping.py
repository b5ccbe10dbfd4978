"""Shipping: parcels on their way to customers. It does not go everywhere."""

from collections.abc import Iterator
from typing import Annotated, Self

from twofold import Aggregate, Command, Event, Meta, Rejected, Service, Tag, decide, evolve, replace

OrderId = Annotated[str, Tag("order"), Meta(pattern="^[A-Za-z0-9-]{1,40}$", examples=["order-17"])]

NOT_SERVED = {"Atlantis", "Utopia"}


class Ship(Command):
    "Send an order's goods to a country."

    order: OrderId
    country: Annotated[str, Meta(min_length=1, max_length=60)]


class Shipped(Event):
    order: OrderId
    country: str


class NotServed(Rejected):
    "Nothing is shipped to this country."


class Parcel(Aggregate, key=OrderId):
    is_shipped: bool = False

    @decide
    def ship(self, command: Ship) -> Iterator[Shipped]:
        if command.country in NOT_SERVED:
            raise NotServed(command.country)
        if not self.is_shipped:
            yield Shipped(order=command.order, country=command.country)

    @evolve
    def shipped(self, event: Shipped) -> Self:
        return replace(self, is_shipped=True)


shipping = Service("shipping", aggregates=[Parcel], publishes=[Shipped], takes_commands_from=["sales"])
