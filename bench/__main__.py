"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from rich.console import Console

from bench import report
from bench.contenders import flat, on_postgresql, on_sqlite
from bench.homes import Databases, Files, databases
from bench.measure import Effort, Result, measure
from bench.model import Contender, Home, Workload
from bench.profile import profile
from bench.workloads import FLAT, ON_POSTGRESQL, ON_SQLITE

_FULL = Effort()
_QUICK = Effort(rounds=1, part=0.2)
_WIDTH = 110


def main() -> None:
    """Measure what was asked for."""
    options = _options()
    effort = _QUICK if options.quick else _FULL
    with _home(options) as home:
        workloads, everyone = _suite(options, home, effort)
        if options.profile:
            (workload,) = (each for each in workloads if each.name == options.profile)
            profile(workload, _entered(workload, everyone)[0], home, effort)
            return
        workloads = tuple(each for each in workloads if not options.only or each.name in options.only)
        show = _show_json if options.json else _show_tables
        show(workloads, everyone, home, effort)


def _options() -> argparse.Namespace:
    names = sorted({each.name for each in (*ON_SQLITE, *ON_POSTGRESQL)})
    parser = argparse.ArgumentParser(prog="python -m bench", description=sys.modules["bench"].__doc__)
    parser.add_argument(
        "--postgresql", metavar="URL", nargs="?", const="", help="on PostgreSQL: started here, or the one at the URL"
    )
    parser.add_argument(
        "--flat", action="store_true", help=FLAT[0].title + ", on PostgreSQL; takes minutes and 3 GB of disk"
    )
    parser.add_argument("--only", metavar="WORKLOAD", choices=names, action="append", help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="one short round, for a first impression")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("--profile", metavar="WORKLOAD", choices=names, help="run Twofold alone, under cProfile")
    return parser.parse_args()


@contextmanager
def _home(options: argparse.Namespace) -> Iterator[Files | Databases]:
    if options.flat or options.postgresql is not None:
        with databases(options.postgresql or "") as home:
            yield home
    else:
        yield Files()


def _suite(
    options: argparse.Namespace, home: Files | Databases, effort: Effort
) -> tuple[tuple[Workload, ...], tuple[Contender, ...]]:
    if options.flat:
        return FLAT, flat.contenders(home, int(flat.LARGE * effort.part))
    if isinstance(home, Databases):
        return ON_POSTGRESQL, on_postgresql(home)
    return ON_SQLITE, on_sqlite(home)


def _show_json(
    workloads: tuple[Workload, ...], everyone: tuple[Contender, ...], home: Files | Databases, effort: Effort
) -> None:
    results = [_measure(workload, everyone, home, effort) for workload in workloads]
    missing = {each.name: each.missing for each in everyone if each.missing}
    machine = report.machine() | home.described
    print(msgspec.json.encode({"machine": machine, "missing": missing, "workloads": results}).decode())


def _show_tables(
    workloads: tuple[Workload, ...], everyone: tuple[Contender, ...], home: Files | Databases, effort: Effort
) -> None:
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(", ".join(f"{name} {value}" for name, value in (report.machine() | home.described).items()))
    for workload in workloads:
        report.show(console, _measure(workload, everyone, home, effort))
    report.show_remarks(console, [each for each in everyone if _has_part(each, workloads)])


def _has_part(contender: Contender, workloads: tuple[Workload, ...]) -> bool:
    return bool(contender.missing) or any(workload.name in contender.trials for workload in workloads)


def _entered(workload: Workload, everyone: tuple[Contender, ...]) -> list[Contender]:
    return [each for each in everyone if workload.name in each.trials]


def _measure(workload: Workload, everyone: tuple[Contender, ...], home: Home, effort: Effort) -> Result:
    with Console(stderr=True).status(workload.title) as status:
        return measure(workload, _entered(workload, everyone), home, effort, status.update)


main()
