"""Filling: views and their tables, projections, and how events become rows."""

from twofold.views.database import ViewDatabase
from twofold.views.handlers import ProjectionHandler, ViewHandler
from twofold.views.projection import Projection, project
from twofold.views.store import TableChange, ViewStore, Write
from twofold.views.transaction import Transaction
from twofold.views.view import Column, Index, Layout, View, layout, table_name

__all__ = [
    "Column",
    "Index",
    "Layout",
    "Projection",
    "ProjectionHandler",
    "TableChange",
    "Transaction",
    "View",
    "ViewDatabase",
    "ViewHandler",
    "ViewStore",
    "Write",
    "layout",
    "project",
    "table_name",
]
