"""CQRS and event sourcing for Python microservices: one log per service, folded into decisions and into answers."""

from twofold.commands import Aggregate, Context, Decider, decide
from twofold.errors import Rejected
from twofold.fold import evolve, replace
from twofold.messages import Command, Event, Meta, Query, Receipt, Tag

__all__ = [
    "Aggregate",
    "Command",
    "Context",
    "Decider",
    "Event",
    "Meta",
    "Query",
    "Receipt",
    "Rejected",
    "Tag",
    "decide",
    "evolve",
    "replace",
]
