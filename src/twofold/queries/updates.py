"""What those who watch a live query are told: updates, failures, and where to go on after an interruption."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from twofold.errors import InvalidReceipt
from twofold.messages import Receipt, parse_receipts

A = TypeVar("A")


class Update(msgspec.Struct, Generic[A], frozen=True):
    """An answer to a live query, which differs from the one before; ``data`` is the same as JSON.

    ``id`` stands for it when somebody watches again, ``since`` it. ``skipped`` says how many answers were left out before it
    because this subscriber was slow. All who watch the query get the same object: its answer is not to be changed.
    """

    answer: A
    data: bytes
    id: str
    skipped: int = 0


class QueryFailure(msgspec.Struct, frozen=True):
    """That a live query cannot be answered at the moment, why, and the correlation under which that was logged."""

    error: Exception
    correlation: str


class ResumeToken(msgspec.Struct, frozen=True):
    """What the id of an update says: where the views were at the least, and which answer it was."""

    receipt: Receipt
    digest: str

    def __str__(self) -> str:
        return f"{self.receipt}/{self.digest}"


def parse_resume_token(text: str) -> ResumeToken:
    """Read the id of an update.

    >>> parse_resume_token("bank@7/5cf4a0").receipt
    Receipt(service='bank', position=7)

    Raises:
        InvalidReceipt: it is not one.
    """
    receipt, _, digest = text.rpartition("/")
    if not (receipt and digest) or "," in receipt:
        raise InvalidReceipt(
            f"{text!r} is not the id of an update of a live query, such as 'bank@7/5cf4a0'. Leave it out to begin anew."
        )
    return ResumeToken(parse_receipts(receipt)[0], digest)
