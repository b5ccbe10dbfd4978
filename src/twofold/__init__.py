"""CQRS and event sourcing for Python microservices: one log per service, folded into decisions and into answers."""

from twofold.commands import Aggregate, Context, Decider, decide
from twofold.errors import Rejected
from twofold.folding import evolve, replace
from twofold.messages import Command, Event, Meta, Query, Receipt, Tag
from twofold.processes import (
    Accepted,
    Cancel,
    Compensate,
    Compensated,
    End,
    Later,
    Process,
    Refused,
    Step,
    Timer,
    after,
    at,
    cancel,
    compensate,
    end,
    migrate,
    react,
    step,
)
from twofold.queries import Views, answer
from twofold.service import Service, System
from twofold.views import Index, View, project

__all__ = [
    "Accepted",
    "Aggregate",
    "Cancel",
    "Command",
    "Compensate",
    "Compensated",
    "Context",
    "Decider",
    "End",
    "Event",
    "Index",
    "Later",
    "Meta",
    "Process",
    "Query",
    "Receipt",
    "Refused",
    "Rejected",
    "Service",
    "Step",
    "System",
    "Tag",
    "Timer",
    "View",
    "Views",
    "after",
    "answer",
    "at",
    "cancel",
    "compensate",
    "decide",
    "end",
    "evolve",
    "migrate",
    "project",
    "react",
    "replace",
    "step",
]
