"""CQRS and event sourcing for Python microservices: one log per service, folded into decisions and into answers."""

from twofold.commands import Aggregate, Context, Decider, decide
from twofold.errors import Rejected
from twofold.folding import evolve, replace
from twofold.messages import Command, Event, Meta, Query, Receipt, Tag
from twofold.queries import Views, answer
from twofold.service import Service, System
from twofold.views import Index, View, project

__all__ = [
    "Aggregate",
    "Command",
    "Context",
    "Decider",
    "Event",
    "Index",
    "Meta",
    "Query",
    "Receipt",
    "Rejected",
    "Service",
    "System",
    "Tag",
    "View",
    "Views",
    "answer",
    "decide",
    "evolve",
    "project",
    "replace",
]
