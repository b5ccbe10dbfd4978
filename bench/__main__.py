"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import sys

import msgspec
from rich.console import Console

from bench import report
from bench.contenders import contenders
from bench.measure import Effort, Result, measure
from bench.model import Contender, Workload
from bench.profile import profile
from bench.workloads import WORKLOADS

_FULL = Effort()
_QUICK = Effort(rounds=1, part=0.2)


def main() -> None:
    """Measure what was asked for."""
    options = _options()
    effort = _QUICK if options.quick else _FULL
    everyone = contenders()
    workloads = [each for each in WORKLOADS if not options.only or each.name in options.only]
    if options.profile:
        (workload,) = (each for each in WORKLOADS if each.name == options.profile)
        profile(workload, _entered(workload, everyone)[0], effort)
    elif options.json:
        results = [_measure(workload, everyone, effort) for workload in workloads]
        missing = {each.name: each.missing for each in everyone if each.missing}
        print(msgspec.json.encode({"machine": report.machine(), "missing": missing, "workloads": results}).decode())
    else:
        console = Console()
        console.print(", ".join(f"{name} {value}" for name, value in report.machine().items()))
        for workload in workloads:
            report.show(console, _measure(workload, everyone, effort))
        report.show_remarks(console, [each for each in everyone if _has_part(each, workloads)])


def _options() -> argparse.Namespace:
    names = [workload.name for workload in WORKLOADS]
    parser = argparse.ArgumentParser(prog="python -m bench", description=sys.modules["bench"].__doc__)
    parser.add_argument("--only", metavar="WORKLOAD", choices=names, action="append", help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="one short round, for a first impression")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("--profile", metavar="WORKLOAD", choices=names, help="run Twofold alone, under cProfile")
    return parser.parse_args()


def _has_part(contender: Contender, workloads: list[Workload]) -> bool:
    return bool(contender.missing) or any(workload.name in contender.trials for workload in workloads)


def _entered(workload: Workload, everyone: tuple[Contender, ...]) -> list[Contender]:
    return [each for each in everyone if workload.name in each.trials]


def _measure(workload: Workload, everyone: tuple[Contender, ...], effort: Effort) -> Result:
    with Console(stderr=True).status(workload.title) as status:
        return measure(workload, _entered(workload, everyone), effort, status.update)


main()
