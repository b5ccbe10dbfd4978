"""Plausible documents of one week from a seed, in the format of the real file and with the traps that are in it."""

import csv
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from random import Random
from typing import NamedTuple

from examples.shop.orders import COLUMNS

MATERIALS = ["WHITE METAL", "RED RETROSPOT", "WOODEN", "GLASS", "VINTAGE", "PINK POLKADOT", "ZINC", "KNITTED"]
THINGS = ["LANTERN", "T-LIGHT HOLDER", "JUMBO BAG", "CAKE STAND", "BUNTING", "HOT WATER BOTTLE", "TRAY", "CLOCK", "MUG"]
SIZES = ["SMALL", "", "LARGE", "SET OF 2", "BOX OF 6"]
PRICES = ["0", "0.42", "0.85", "1.25", "1.65", "2.1", "2.55", "2.95", "4.25", "7.95", "14.95", "0.001", "12.345"]
QUANTITIES = [1, 1, 1, 2, 2, 3, 4, 6, 6, 8, 12, 12, 24, 48, 96]
COUNTRIES = ["United Kingdom"] * 16 + ["Germany", "France", "EIRE", "Netherlands", "Norway", "Spain"]
OPENING = datetime.fromisoformat("2010-11-29 08:00")  # A Monday; by the end of the week it is December.


class Article(NamedTuple):
    stock_code: str
    description: str
    price: str


class Customer(NamedTuple):
    id: str
    country: str


POSTAGE = Article("POST", "POSTAGE", "18.0")
NOBODY = Customer("", "United Kingdom")
Row = tuple[str, str, str, int, datetime, str, str, str]


def generate(path: Path, documents: int = 750, seed: int = 1) -> None:
    """Write a CSV file of invoice lines; the same seed writes the same file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(_Wholesaler(Random(seed)).rows(documents))


class _Wholesaler:
    def __init__(self, random: Random) -> None:
        self.random = random
        names = [" ".join(each).strip() for each in product(MATERIALS, THINGS, SIZES)]
        self.articles = [Article(str(20_000 + n), name, random.choice(PRICES)) for n, name in enumerate(names)]
        self.customers = [Customer(f"{12_000 + n}.0", random.choice(COUNTRIES)) for n in range(350)]

    def rows(self, documents: int) -> Iterator[Row]:
        """Yield all lines. Now and then two documents are written at once, and their lines alternate."""
        held: list[Row] = []
        for n in range(documents):
            rows = self._document(536_000 + n, OPENING + timedelta(minutes=8 * n))
            cut = self.random.randrange(len(rows) + 1) if self.random.random() < 0.05 else len(rows)
            yield from rows[:cut]
            yield from held
            held = rows[cut:]
        yield from held

    def _document(self, number: int, at: datetime) -> list[Row]:
        kinds: list[Callable[[int, datetime], list[Row]]]
        kinds = [self._invoice, self._credit_note, self._write_off, self._bad_debt]
        return self.random.choices(kinds, weights=[84, 10, 5, 1])[0](number, at)

    def _invoice(self, number: int, at: datetime) -> list[Row]:
        customer = self._customer(known=0.6)
        rows = []
        for n in range(int(self.random.lognormvariate(2.5, 1)) + 1):
            # A long document takes its writer more than a minute.
            later = at + timedelta(minutes=n // 50)
            rows.append(self._row(str(number), self._article(), self._quantity(), later, customer))
            if self.random.random() < 0.02:
                rows.append(rows[-1])
        if customer.country != "United Kingdom":
            rows.append(self._row(str(number), POSTAGE, 1, at, customer))
        return rows

    def _credit_note(self, number: int, at: datetime) -> list[Row]:
        customer = self._customer(known=0.9)
        lines = self.random.choice([1, 1, 1, 2, 5])
        return [self._row(f"C{number}", self._article(), -self._quantity(), at, customer) for _ in range(lines)]

    def _write_off(self, number: int, at: datetime) -> list[Row]:
        return [self._row(str(number), self._article()._replace(price="0"), -self._quantity(), at, NOBODY)]

    def _bad_debt(self, number: int, at: datetime) -> list[Row]:
        amount = f"{self.random.choice(['', '-', '-'])}{self.random.randrange(100_000) / 100:.2f}"
        return [self._row(f"A{number}", Article("B", "Adjust bad debt", amount), 1, at, NOBODY)]

    # The few sell much and the many little, as everywhere.

    def _article(self) -> Article:
        return self.articles[int(len(self.articles) * self.random.random() ** 2)]

    def _customer(self, known: float) -> Customer:
        if self.random.random() > known:
            return NOBODY
        return self.customers[int(len(self.customers) * self.random.random() ** 2)]

    def _quantity(self) -> int:
        return self.random.choice(QUANTITIES)

    def _row(self, number: str, article: Article, quantity: int, at: datetime, customer: Customer) -> Row:
        code, description, price = article
        return (number, code, description, quantity, at, price, customer.id, customer.country)
