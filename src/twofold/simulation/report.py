"""What came of a simulated run, and how it is told to somebody who has to find out why."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from twofold.simulation.plan import Plan, plan_text
from twofold.simulation.rules import explanation
from twofold.simulation.trace import Happening, Trace
from twofold.simulation.violations import Violation

_WIDTH = 100
_FIRST_SHOWN = 8
_LAST_SHOWN = 40
_UNREPEATED = (
    "It could not be made smaller: run again in the same process, the same world did not break this rule. So something "
    "outlives a world, or depends on neither messages nor states: look for a global first, such as a cache or a counter."
)


class Report(msgspec.Struct, frozen=True):
    """What came of one run. ``faults`` is how often each fault has happened, ``scenarios`` how many were run."""

    seed: int
    plan: Plan
    commands: int
    scenarios: int
    seconds: float
    """Of virtual time."""
    turns: int
    """What it took: how many callbacks were called."""
    faults: Mapping[str, int]
    violations: list[Violation]
    trace: Trace
    repeats: bool = True
    """False if its world was run again in the same process, and the rule was not broken."""

    @property
    def python(self) -> str:
        """An expression that runs the same once more, where ``bank`` stands for what was simulated."""
        return f"simulate_once(bank, {self.seed}, plan=read_plan({plan_text(self.plan)!r}))"


def described(report: Report, found: int, again: str) -> str:
    """Tell what is broken, in the smallest world in which it is; ``found`` is the seed of the one in which it was found.

    ``again`` is what somebody types to see it again.
    """
    violation = report.violations[0]
    return "\n".join(
        [
            f"Seed {found} breaks a rule: {violation.rule}",
            "",
            *_field("where", violation.where),
            *_field("expected", violation.expected),
            *_field("found", violation.found),
            "",
            *textwrap.wrap(explanation(violation.rule), _WIDTH),
            "",
            *([] if report.repeats else [*textwrap.wrap(_UNREPEATED, _WIDTH), ""]),
            f"The shortest history that was found, {_summary(report)}:",
            "",
            *_lanes(report.trace.happenings),
            "",
            "To see it again:",
            "",
            f"    {again}",
        ]
    )


def as_plain(report: Report, found: int, again: str) -> dict[str, Any]:
    """Return the same as plain data, for programs; ``broken`` is the seed of the world in which it was found."""
    violation = report.violations[0]
    return {
        "broken": found,
        **msgspec.to_builtins(violation),
        "explanation": explanation(violation.rule),
        "seed": report.seed,
        "plan": plan_text(report.plan),
        "history": report.trace.happenings,
        "again": again,
    }


def _field(name: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=f"    {name:<10}", subsequent_indent=" " * 14, break_on_hyphens=False
    )


def _summary(report: Report) -> str:
    plan = report.plan
    counted = [
        ((len(plan.sends) or plan.commands) - report.scenarios, "command"),
        (report.scenarios, "scenario"),
        (plan.clients, "client"),
        (len(plan.processes), "process"),
    ]
    faults = [name.replace("_", " ") for name in sorted(report.faults)]
    told = ", ".join([f"{number} {name}{_plural(name) if number > 1 else ''}" for number, name in counted if number])
    return f"in the world of seed {report.seed} ({told}, {'with ' + ', '.join(faults) if faults else 'no faults'})"


def _plural(name: str) -> str:
    return "es" if name.endswith("s") else "s"


def _lanes(happenings: Sequence[Happening]) -> Iterator[str]:
    """Yield what happened, a line each, with a lane for each of those who did it."""
    lanes = {name: place for place, name in enumerate(dict.fromkeys([each.process for each in happenings]))}
    width = max(map(len, lanes), default=0)
    for number, each in enumerate(happenings):
        if number == _FIRST_SHOWN and len(happenings) > _FIRST_SHOWN + _LAST_SHOWN:
            yield f"    … {len(happenings) - _FIRST_SHOWN - _LAST_SHOWN} more, which --trace shows …"
        if _FIRST_SHOWN <= number < len(happenings) - _LAST_SHOWN:
            continue
        marks = "".join(["●" if place == lanes[each.process] else "│" for place in range(len(lanes))])
        yield f"  {each.at_seconds:9.4f}  {marks}  {each.process:<{width}}  {each.what}"
