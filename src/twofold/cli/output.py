"""Tables, trees and JSON lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from twofold.log import Recorded
from twofold.messages import encode


def table(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    """Print rows as a table, or as a JSON array."""
    if as_json:
        click.echo(msgspec.json.format(encode(rows), indent=2))
        return
    if not rows:
        click.echo("Nothing.")
        return
    drawn = Table()
    for name, value in rows[0].items():
        drawn.add_column(name, justify="right" if isinstance(value, int) else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*["" if value is None else str(value) for value in row.values()])
    _console().print(drawn)


def print_events(events: Iterable[Recorded], as_json: bool) -> None:
    """Print events, one JSON object a line or one row each."""
    for event in events:
        row = event_row(event)
        if as_json:
            click.echo(encode(row))
        else:
            tags = " ".join(event.tags)
            click.echo(
                f"{event.position:>8}  {event.recorded_at:%Y-%m-%d %H:%M:%S}  {event.type:<24} {tags}  {row['data']}"
            )


def event_row(event: Recorded) -> dict[str, Any]:
    """Return everything that the log has of an event; data that is not JSON is shown as text."""
    try:
        data = msgspec.json.decode(event.data)
    except msgspec.DecodeError:
        data = event.data.decode(errors="replace")
    return {
        "position": event.position,
        "id": event.id,
        "type": event.type,
        "version": event.version,
        "tags": list(event.tags),
        "data": data,
        "metadata": msgspec.to_builtins(event.metadata),
        "recorded_at": event.recorded_at.isoformat(),
    }


def tree(arrows: Sequence[tuple[str, str]]) -> None:
    """Print arrows as trees, from whatever nothing leads to."""
    led_to = {target for _, target in arrows}
    for root in dict.fromkeys(source for source, _ in arrows if source not in led_to):
        drawn = Tree(_label(root))
        _grow(drawn, root, arrows)
        _console().print(drawn)


def _grow(branch: Tree, node: str, arrows: Sequence[tuple[str, str]]) -> None:
    for source, target in arrows:
        if source == node:
            _grow(branch.add(_label(target)), target, arrows)


def _label(node: str) -> str:
    kind, _, name = node.partition(":")
    colour = {"command": "cyan", "event": "yellow", "view": "green"}.get(kind, "magenta")
    return f"[dim]{kind}[/] [{colour}]{name}[/]"


def _console() -> Console:
    return Console(soft_wrap=True) if not Console().is_terminal else Console()
