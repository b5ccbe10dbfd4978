"""Receipts: how far a log was when a command had taken effect."""

from __future__ import annotations

import msgspec

from twofold.errors import InvalidReceipt


class Receipt(msgspec.Struct, frozen=True):
    """Where in a service's log the effect of a command ends. A query asked after it sees that effect.

    As text it is ``service@position``; several are separated by commas.

    >>> str(Receipt("bank", 7))
    'bank@7'
    """

    service: str
    position: int

    def __str__(self) -> str:
        return f"{self.service}@{self.position}"


def parse_receipts(text: str) -> tuple[Receipt, ...]:
    """Read receipts as `str` writes them, separated by commas.

    >>> parse_receipts("sales@7, stock@12")
    (Receipt(service='sales', position=7), Receipt(service='stock', position=12))

    Raises:
        InvalidReceipt: the text is something else.
    """
    return tuple(_parse(part.strip()) for part in text.split(",") if part.strip())


def _parse(text: str) -> Receipt:
    service, _, position = text.rpartition("@")
    if not service or not (position.isascii() and position.isdigit()) or len(position) > 18:
        raise InvalidReceipt(f"{text!r} is not a receipt. A receipt is what a command returned, such as 'bank@7'.")
    return Receipt(service, int(position))
