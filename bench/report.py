"""Results as tables for people."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench.measure import Measured, Result, Verdict
from bench.model import Contender


def machine() -> dict[str, str | int]:
    """Return what the numbers were measured on, and how many others wanted its processors just before."""
    return {
        "python": platform.python_version(),
        "processors": os.cpu_count() or 0,
        "load": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.machine()}",
    }


def show(console: Console, result: Result) -> None:
    """Print one workload's table: rates, each against Twofold's, and what became of the targets."""
    own = result.measured[0]
    table = Table(title=result.title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    table.add_column(f"{result.unit}/s", justify="right", no_wrap=True)
    table.add_column("spread", justify="right", no_wrap=True)
    table.add_column(f"{own.contender} is", justify="right", no_wrap=True)
    table.add_column("acknowledged on")
    for each in result.measured:
        table.add_row(*_row(each, own))
    console.print(table)
    for each in result.measured:
        if each.note:
            console.print(f"  {each.contender}: {each.note}", style="dim")
    for verdict in result.verdicts:
        console.print(_sentence(verdict))
    console.print()


def _row(each: Measured, own: Measured) -> tuple[str, ...]:
    ratio = "" if each is own else f"{own.over([each]):,.2f} x"
    spread = (max(each.rates) - min(each.rates)) / each.per_second
    return each.contender, f"{each.per_second:,.0f}", f"{spread:.0%}", ratio, each.durability


def _sentence(verdict: Verdict) -> str:
    if verdict.factor is None:
        return f"  [yellow]?[/] {verdict.text}: not measured"
    mark = "[green]✓[/]" if verdict.reached else "[red]✗[/]"
    return f"  {mark} {verdict.text} ({verdict.wanted:.3g} x): {verdict.factor:,.2f} x"


def show_remarks(console: Console, contenders: Sequence[Contender]) -> None:
    """Say of each contender what it does, or why it was not measured."""
    for each in contenders:
        if each.missing:
            console.print(f"[yellow]{each.name} was not measured:[/] {each.missing}")
        elif each.remarks:
            console.print(f"[bold]{each.name}[/]: {each.remarks}")
