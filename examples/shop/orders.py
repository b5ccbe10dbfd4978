"""From a file of invoice lines to commands: one for each document, with all its lines in the file's order."""

import csv
import gzip
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from examples.shop import ledger, sales, stock
from twofold import Meta

T = TypeVar("T")

Order = sales.IssueInvoice | sales.IssueCreditNote | stock.WriteOffStock | ledger.AdjustBadDebt


class BadFile(Exception):
    """A file that does not hold invoice lines; the text names the file and the line, and says what is wrong there."""


class Row(msgspec.Struct, frozen=True):
    """A line of the file, by the names of its columns. What kind of document it is of, only all its lines can tell."""

    line: int
    number: Annotated[str, Meta(min_length=1)] = msgspec.field(name="InvoiceNo")
    stock_code: str = msgspec.field(name="StockCode")
    description: str = msgspec.field(name="Description")
    quantity: int = msgspec.field(name="Quantity")
    date: datetime = msgspec.field(name="InvoiceDate")
    price: Annotated[str, Meta(pattern=r"^-?[0-9]{1,9}(\.[0-9]{1,3})?$")] = msgspec.field(name="UnitPrice")
    customer: str = msgspec.field(name="CustomerID")
    country: str = msgspec.field(name="Country")

    @property
    def at(self) -> datetime:
        """The time as the file has it, which names no zone."""
        return self.date.replace(tzinfo=UTC)

    @property
    def heading(self) -> dict[str, str]:
        return {"number": self.number, "country": self.country}

    @property
    def article(self) -> dict[str, str]:
        return {"stock_code": self.stock_code, "description": self.description}

    @property
    def customer_id(self) -> str | None:
        return self.customer.removesuffix(".0") or None

    @property
    def price_mills(self) -> int:
        return int(Decimal(self.price) * 1000)


COLUMNS = [field.encode_name for field in msgspec.structs.fields(Row) if field.name != "line"]


def last_lines(path: Path) -> dict[str, int]:
    """Return the numbers of a file's documents and of the last line of each. It reads, and so checks, the whole file.

    Raises:
        BadFile: a line cannot be read.
    """
    return {row.number: row.line for row in read_rows(path)}


def read_orders(path: Path, ends: dict[str, int]) -> Iterator[Order]:
    """Yield the command for each document at the line where it ends; the lines of several documents may alternate.

    Raises:
        BadFile: a line cannot be read, or says what no document of its kind may say.
    """
    unfinished: dict[str, list[Row]] = {}
    for row in read_rows(path):
        unfinished.setdefault(row.number, []).append(row)
        if ends[row.number] == row.line:
            yield _order(path, unfinished.pop(row.number))


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a CSV file, which may be packed by gzip.

    Raises:
        BadFile: a line cannot be read.
    """
    line = 1
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            reader = csv.reader((raw.decode("utf-8-sig") for raw in file), strict=True)
            header = next(reader, [])
            if missing := [column for column in COLUMNS if column not in header]:
                raise ValueError(f"the header lacks {', '.join(missing)}")
            line += 1
            for fields in reader:
                if fields:
                    yield _row(line, header, fields)
                line = reader.line_num + 1
    except (OSError, EOFError, zlib.error, csv.Error, ValueError) as error:
        raise BadFile(f"{path}, line {line}: {error}.") from error


def _row(line: int, header: list[str], fields: list[str]) -> Row:
    if len(fields) != len(header):
        raise ValueError(f"{len(fields)} fields, where the header names {len(header)} columns")
    return msgspec.convert(dict(zip(header, fields, strict=True), line=line), Row, strict=False)


# What kind of document the rows are, and what its command says.


def _order(path: Path, rows: list[Row]) -> Order:
    first = rows[0]
    try:
        if first.number.startswith("A"):
            return _adjustment(rows)
        if first.number.startswith("C"):
            return _document(rows, sales.IssueCreditNote, sign=-1)
        if len(rows) == 1 and first.quantity < 0 and not first.price_mills and not first.customer:
            return _write_off(first)
        return _document(rows, sales.IssueInvoice, sign=1)
    except ValueError as error:
        raise BadFile(f"{path}, {error}.") from error


def _document(rows: list[Row], kind: type[T], sign: int) -> T:
    lines = [
        _fitting(sales.Line, row, **row.article, quantity=sign * row.quantity, price_mills=row.price_mills)
        for row in rows
    ]
    first = rows[0]
    return _fitting(kind, first, **first.heading, customer=first.customer_id, issued_at=first.at, lines=lines)


def _adjustment(rows: list[Row]) -> ledger.AdjustBadDebt:
    lines = [_fitting(ledger.Line, row, **row.article, amount_mills=row.quantity * row.price_mills) for row in rows]
    first = rows[0]
    return _fitting(
        ledger.AdjustBadDebt, first, **first.heading, customer=first.customer_id, adjusted_at=first.at, lines=lines
    )


def _write_off(row: Row) -> stock.WriteOffStock:
    return _fitting(stock.WriteOffStock, row, **row.heading, **row.article, written_off_at=row.at, units=-row.quantity)


def _fitting(kind: type[T], row: Row, **fields: Any) -> T:
    """Make a value of its fields, with all the constraints of its type: the constructor alone trusts its caller."""
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"line {row.line}, of document {row.number}: {error}") from error
