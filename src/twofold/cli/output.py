"""Tables, lines and JSON, on a terminal and off it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from twofold.copies.lines import event_json
from twofold.log import RecordedEvent
from twofold.messages import encode

_WIDE = 10_000


def console() -> Console:
    """Return where to draw: as wide as the terminal, and off a terminal as wide as need be, for a line to stay one."""
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)


def print_json(value: Any) -> None:
    """Print a value as JSON, to be read by people too."""
    click.echo(json_text(value))


def json_text(value: Any) -> str:
    """Return a value as JSON, to be read by people too."""
    return msgspec.json.format(encode(value), indent=2).decode()


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under the names of their columns; numbers stand to the right."""
    table = Table(box=None, pad_edge=False)
    for index, name in enumerate(columns):
        is_number = all(isinstance(row[index], int) for row in rows)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*[Text(_shown(value)) for value in row])
    console().print(table)


def _shown(value: Any) -> str:
    if value is None:
        return "?"
    if isinstance(value, datetime):
        return shown_time(value)
    return printable(str(value))


def shown_time(moment: datetime) -> str:
    """Return a moment in the local time zone, to the millisecond."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}"


def printable(text: str) -> str:
    r"""Make visible what would otherwise be a command to the terminal: the text may come from anybody.

    >>> printable("ann\x1b[2J")
    'ann\\x1b[2J'
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def event_fields(event: RecordedEvent) -> dict[str, msgspec.Raw]:
    """Return everything that the log has of an event, as it is exported."""
    return msgspec.json.decode(event_json(event), type=dict[str, msgspec.Raw])


def event_line(event: RecordedEvent) -> Text:
    """Return an event on a line: position, time, type, tags, data."""
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{event.position:>9}  ", style="bold")
    line.append(f"{shown_time(event.recorded_at)}  ", style="dim")
    line.append(f"{printable(event.type):<24}  ", style="yellow")
    line.append(f"{printable(' '.join(event.tags))}  ", style="cyan")
    line.append(printable(event.data.decode("utf-8", "replace")))
    return line


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """Show bars on standard error for a block, if that is a terminal: give what to tell how far what is, and its end."""
    screen = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, end: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what)
            bars.update(tasks[what], completed=done, total=end)

        yield report
