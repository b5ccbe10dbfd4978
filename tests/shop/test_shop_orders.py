import gzip
from itertools import pairwise
from pathlib import Path

import pytest

from examples.shop.generate import generate
from examples.shop.ledger import AdjustBadDebt
from examples.shop.orders import BadFile, Order, last_lines, read_orders
from examples.shop.sales import IssueCreditNote, IssueInvoice
from examples.shop.stock import WriteOffStock

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
LANTERN = "536365,71053,WHITE METAL LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,United Kingdom\n"


def read(path: Path) -> list[Order]:
    return list(read_orders(path, last_lines(path)))


def orders_of(folder: Path, text: str) -> list[Order]:
    path = folder / "orders.csv"
    path.write_text(HEADER + text, encoding="utf-8")
    return read(path)


def test_a_number_without_a_letter_is_an_invoice(tmp_path: Path) -> None:
    """Its lines have positive quantities, prices in whole mills, and the customer's number without the file's decimals."""
    (order,) = orders_of(tmp_path, LANTERN)
    assert isinstance(order, IssueInvoice)
    assert (order.number, order.customer, order.country) == ("536365", "17850", "United Kingdom")
    assert order.issued_at.isoformat() == "2010-12-01T08:26:00+00:00"
    assert [(each.stock_code, each.quantity, each.price_mills) for each in order.lines] == [("71053", 6, 3390)]


def test_a_number_with_c_is_a_credit_note(tmp_path: Path) -> None:
    """What the file has below zero is a positive quantity that came back."""
    (order,) = orders_of(tmp_path, "C536379,D,Discount,-1,2010-12-01 09:41:00,27.5,14527.0,United Kingdom\n")
    assert isinstance(order, IssueCreditNote)
    assert (order.lines[0].quantity, order.lines[0].price_mills) == (1, 27_500)


def test_a_number_with_a_adjusts_bad_debt(tmp_path: Path) -> None:
    """Its amount may be below zero, and need not be anybody's."""
    (order,) = orders_of(tmp_path, "A563186,B,Adjust bad debt,1,2011-08-12 14:51:00,-11062.06,,United Kingdom\n")
    assert isinstance(order, AdjustBadDebt)
    assert (order.customer, order.lines[0].amount_mills) == (None, -11_062_060)


def test_one_line_below_zero_for_nobody_and_nothing_writes_off_stock(tmp_path: Path) -> None:
    """It is not an invoice, though its number looks like one."""
    (order,) = orders_of(tmp_path, "536589,21777,,-10,2010-12-01 16:50:00,0.0,,United Kingdom\n")
    assert isinstance(order, WriteOffStock)
    assert (order.stock_code, order.units) == ("21777", 10)


def test_lines_of_documents_may_alternate(tmp_path: Path) -> None:
    """Each document is one command with all its lines in the file's order, equal ones included."""
    other = LANTERN.replace("536365", "536366")
    orders = orders_of(tmp_path, LANTERN + other + LANTERN.replace(",6,", ",8,") + LANTERN + other)
    quantities = {order.number: [line.quantity for line in order.lines] for order in orders}  # type: ignore[union-attr]
    assert quantities == {"536365": [6, 8, 6], "536366": [6, 6]}


def test_prices_have_up_to_three_decimals(tmp_path: Path) -> None:
    """They become mills exactly, and a fourth decimal is refused rather than rounded."""
    (order,) = orders_of(tmp_path, LANTERN.replace("3.39", "0.001"))
    assert isinstance(order, IssueInvoice)
    assert order.lines[0].price_mills == 1
    with pytest.raises(BadFile, match=r"line 2: .*UnitPrice"):
        orders_of(tmp_path, LANTERN.replace("3.39", "0.0015"))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (LANTERN + LANTERN.replace(",6,", ",six,"), r"orders\.csv, line 3: .*Quantity"),
        (LANTERN + LANTERN.replace("2010-12-01", "1/12/2010"), r"orders\.csv, line 3: .*InvoiceDate"),
        (LANTERN + "\n536366,71053\n", r"orders\.csv, line 4: 2 fields"),
        (LANTERN + LANTERN.replace("WHITE", "WHITE,"), r"orders\.csv, line 3: "),
        (LANTERN + LANTERN.replace("536365", ""), r"orders\.csv, line 3: .*InvoiceNo"),
        (LANTERN + LANTERN.replace("WHITE", '"WHITE'), r"orders\.csv, line 3: "),
        (LANTERN + LANTERN.replace(",6,", ",-6,"), r"orders\.csv, line 3, of document 536365: .*quantity"),
        (LANTERN + LANTERN.replace("3.39", "-3.39"), r"orders\.csv, line 3, of document 536365: .*price_mills"),
        (LANTERN.replace("United Kingdom", ""), r"orders\.csv, line 2, of document 536365: .*country"),
        (LANTERN.replace("71053", "no/code"), r"orders\.csv, line 2, of document 536365: .*stock_code"),
        (LANTERN.replace("536365", "X-1"), r"orders\.csv, line 2, of document X-1: .*number"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, where: str) -> None:
    """Whoever has to mend the file reads its name, the line, and what is wrong there."""
    with pytest.raises(BadFile, match=where):
        orders_of(tmp_path, text)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    """The header is in line 1."""
    path = tmp_path / "orders.csv"
    path.write_text("InvoiceNo,StockCode,Description,Quantity,CustomerID,Country\n", encoding="utf-8")
    with pytest.raises(BadFile, match=r"orders\.csv, line 1: .*InvoiceDate, UnitPrice"):
        read(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Be it absent, empty, a folder, cut off, not packed as its name says, or not in UTF-8."""
    empty, folder, cut, plain, latin = (
        tmp_path / name for name in ("empty.csv", "d.csv", "c.csv.gz", "p.csv.gz", "l.csv")
    )
    empty.touch()
    folder.mkdir()
    cut.write_bytes(gzip.compress((HEADER + LANTERN * 1000).encode())[:-20])
    plain.write_text(HEADER + LANTERN, encoding="utf-8")
    latin.write_bytes((HEADER + LANTERN + LANTERN.replace("WHITE", "£")).encode("latin-1"))
    for path in (tmp_path / "absent.csv", empty, folder, cut, plain):
        with pytest.raises(BadFile, match=path.name):
            read(path)
    with pytest.raises(BadFile, match=r"l\.csv, line 3: "):
        read(latin)


def test_a_packed_file_reads_like_a_plain_one(tmp_path: Path) -> None:
    """Only the name tells which it is."""
    plain, packed = tmp_path / "orders.csv", tmp_path / "orders.csv.gz"
    generate(plain, documents=30)
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read(packed) == read(plain)


def test_a_seed_generates_the_same_file_with_every_trap_in_it(tmp_path: Path) -> None:
    """All kinds of documents, with alternating lines, and lines that are equal, free, or nobody's."""
    path, again, other = (tmp_path / name for name in ("1.csv", "2.csv", "3.csv"))
    generate(path)
    generate(again)
    generate(other, seed=2)
    assert path.read_bytes() == again.read_bytes() != other.read_bytes()
    orders = read(path)
    assert {type(order) for order in orders} == {IssueInvoice, IssueCreditNote, WriteOffStock, AdjustBadDebt}
    numbers = [line.split(",")[0] for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    assert len(orders) == len(set(numbers)) < sum(one != next_one for one, next_one in pairwise(numbers)) + 1
    invoices = [order for order in orders if isinstance(order, IssueInvoice)]
    assert any(len(set(order.lines)) < len(order.lines) for order in invoices)
    assert any(line.price_mills == 0 for order in invoices for line in order.lines)
    assert any(order.customer is None for order in invoices)
