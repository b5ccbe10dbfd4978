"""What an event handler writes to tables of the user's: statements that are stored together with its checkpoint."""

from __future__ import annotations

from typing import Any

from twofold.errors import DeclarationError


class HandlerTransaction:
    """Statements that take effect exactly once, for an event handler that has a parameter annotated with it.

    They are run in the views' database, in one transaction with the checkpoint that says that the event was handled: after
    the handler has returned, in the order in which they were given, and not at all if it fails.
    """

    def __init__(self) -> None:
        self.statements: list[Any] = []

    def execute(self, statement: Any) -> None:
        """Have a SQLAlchemy Core statement run that writes, on a table of your own.

        Raises:
            DeclarationError: it writes the table of a view.
        """
        from twofold.views.tables import written_view

        view = written_view(statement)
        if view is not None:
            raise DeclarationError(
                f"An event handler writes {view.__name__}, which is filled from the log, and filled anew without the "
                "handler. Write a table of your own, or return a command and let the view evolve what comes of it."
            )
        self.statements.append(statement)
