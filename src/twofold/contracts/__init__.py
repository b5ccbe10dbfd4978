"""What services promise each other: written as AsyncAPI, and compared with what they promised before."""

from twofold.contracts.breaking import Break, breaks
from twofold.contracts.document import contract

__all__ = ["Break", "breaks", "contract"]
