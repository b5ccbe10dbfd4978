"""Answering: views and their tables, how they are filled, and how they are asked."""

from twofold.views.materialize import ProjectionTarget, ViewTarget
from twofold.views.progress import Arrivals, Moves
from twofold.views.projection import Projection, project
from twofold.views.queries import Answer, Page, Views, answer, answer_of, answer_type
from twofold.views.store import TableChange, ViewStore, Write
from twofold.views.transaction import Transaction
from twofold.views.view import Column, Index, Layout, View, layout, table_name

__all__ = [
    "Answer",
    "Arrivals",
    "Column",
    "Index",
    "Layout",
    "Moves",
    "Page",
    "Projection",
    "ProjectionTarget",
    "TableChange",
    "Transaction",
    "View",
    "ViewStore",
    "ViewTarget",
    "Views",
    "Write",
    "answer",
    "answer_of",
    "answer_type",
    "layout",
    "project",
    "table_name",
]
