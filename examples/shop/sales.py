"""Sales: invoices and credit notes. A number stands for one document, however often that is submitted.

Orders, and what is done so that they come to their end, are in `fulfilment`.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Self, TypeVar

import msgspec

from examples.shop.fulfilment import (
    Fulfilment,
    MoneyGivenBack,
    Order,
    OrderState,
    PaymentRefused,
    PaymentTaken,
    Released,
    Reserved,
    Shipped,
    find_orders,
)
from twofold import Aggregate, Command, Event, Meta, Rejected, Service, Tag, decide, evolve, replace

Moment = Annotated[datetime, Meta(tz=True, examples=["2010-12-01T08:26:00Z"])]
DocumentNumber = Annotated[str, Tag("document"), Meta(pattern="^[A-Z]?[0-9]{1,12}$", examples=["536365"])]
StockCode = Annotated[str, Meta(pattern="^[0-9A-Za-z_ ]{1,20}$", examples=["85123A"])]
Name = Annotated[str, Meta(min_length=1, max_length=60)]
Mills = Annotated[
    int, Meta(ge=0, le=100_000_000, description="Thousandths of a pound: prices have up to three decimals.")
]


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    stock_code: StockCode
    quantity: Annotated[int, Meta(gt=0, le=100_000)]
    price_mills: Mills
    description: Annotated[str, Meta(max_length=200)] = ""


class Issue(Command):
    number: DocumentNumber
    issued_at: Moment
    country: Name
    customer: Name | None = None
    lines: Annotated[tuple[Line, ...], Meta(min_length=1, max_length=5_000)]


class IssueInvoice(Issue):
    "Goods were sold."


class IssueCreditNote(Issue):
    "Goods came back, or an invoice was wrong: the customer is given back what the lines cost."


class Issued(Event):
    number: DocumentNumber
    issued_at: Moment
    month: str
    country: str
    customer: str | None
    amount_mills: int
    lines: tuple[Line, ...]


class InvoiceIssued(Issued):
    "The customer owes the amount."


class CreditNoteIssued(Issued):
    "The amount is owed to the customer."


class AlreadyIssued(Rejected):
    "A document with this number was issued before; it counts once."


E = TypeVar("E", bound=Issued)


class Document(Aggregate, key=DocumentNumber):
    issued: bool = False

    @decide
    def issue_invoice(self, command: IssueInvoice) -> Iterator[InvoiceIssued]:
        yield self._issue(InvoiceIssued, command)

    @decide
    def issue_credit_note(self, command: IssueCreditNote) -> Iterator[CreditNoteIssued]:
        yield self._issue(CreditNoteIssued, command)

    def _issue(self, kind: type[E], command: Issue) -> E:
        if self.issued:
            raise AlreadyIssued(command.number)
        return kind(
            number=command.number,
            issued_at=command.issued_at,
            month=f"{command.issued_at:%Y-%m}",
            country=command.country,
            customer=command.customer,
            amount_mills=sum(line.quantity * line.price_mills for line in command.lines),
            lines=command.lines,
        )

    @evolve
    def was_issued(self, event: InvoiceIssued | CreditNoteIssued) -> Self:
        return replace(self, issued=True)


sales = Service(
    "sales",
    aggregates=[Document, Order],
    views=[OrderState],
    queries=[find_orders],
    processes=[Fulfilment],
    publishes=[InvoiceIssued, CreditNoteIssued],
    subscribes=[PaymentTaken, PaymentRefused, MoneyGivenBack, Reserved, Released, Shipped],
)
