"""Looking at services and mending them, whether they run or not: through their databases alone."""

from twofold.operations.databases import Databases, opened, opened_log

__all__ = ["Databases", "opened", "opened_log"]
