"""Schedules: commands that are sent again and again, at the times of a cron expression in a zone.

A schedule is a timer that is set anew each time that it comes due, so it ticks once, however many processes there are. Which
times those are is found by `cronsim <https://pypi.org/project/cronsim/>`_, which does as Debian's cron does: where clocks are
set forwards, a fixed time in the hour that is left out comes right after it; where they are set back, one comes once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from twofold.errors import DeclarationError, SettingsError
from twofold.folding import alternatives, check_waits_for_nothing, parameters
from twofold.messages import Command, source_location, type_hints

Missed: TypeAlias = Literal["one", "all", "none"]
"""What becomes of the ticks that nobody was there for: one stands for all of them, each is made up for, or none is."""

_LATE_SECONDS = 60
_LONGEST_CHAIN = 100_000


class Tick(msgspec.Struct, frozen=True):
    """A time at which a schedule sends its commands, in its zone; ``missed`` is how many before it had nobody to send them."""

    schedule: str
    at: datetime
    missed: int = 0


class Schedule(msgspec.Struct, frozen=True):
    """A function of a `Tick`, the expression that says when, and what becomes of ticks that were missed.

    ``commands`` are those that it may yield.
    """

    name: str
    expression: str
    zone: str
    missed: Missed
    function: Callable[[Tick], Iterable[Command] | Command | None]
    commands: tuple[type[Command], ...]

    def next_after(self, at: datetime) -> datetime:
        """Return the first of its times after a moment.

        Raises:
            SettingsError: what finds the times is not installed.
        """
        following: datetime = next(_times(self.expression, at.astimezone(ZoneInfo(self.zone)), self.name))
        return following

    def ticks(self, due: datetime, now: datetime) -> list[Tick]:
        """Return what has to be done at a time, if it was due at another: usually that is one tick.

        >>> def nothing(tick):
        ...     return None
        >>> hourly = Schedule("hourly", "0 * * * *", "UTC", "one", nothing, ())
        >>> six, nine = datetime(2026, 1, 1, 6, tzinfo=UTC), datetime(2026, 1, 1, 9, 30, tzinfo=UTC)
        >>> [(tick.at.hour, tick.missed) for tick in hourly.ticks(six, nine)]
        [(9, 3)]
        """
        at = [due.astimezone(ZoneInfo(self.zone))]
        while len(at) < _LONGEST_CHAIN and (following := self.next_after(at[-1])) <= now:
            at.append(following)
        match self.missed:
            case "all":
                return [Tick(self.name, each) for each in at]
            case "one":
                return [Tick(self.name, at[-1], len(at) - 1)]
            case "none":
                is_late = (now - at[-1]).total_seconds() > _LATE_SECONDS
                return [] if is_late else [Tick(self.name, at[-1], len(at) - 1)]


def _times(expression: str, after: datetime, name: str) -> Any:
    try:
        from cronsim import CronSim
    except ImportError as error:
        raise SettingsError(
            f"The schedule {name} needs a package that is not installed: pip install 'twofold[schedules]'."
        ) from error
    return CronSim(expression, after)


def every(expression: str, *, zone: str, missed: Missed | None = None) -> Callable[[Callable[[Tick], Any]], Schedule]:
    """Declare a function that yields commands at the times of a cron expression in a zone.

    ``missed`` says what becomes of times at which no process was there: ``"one"`` tick stands for all of them, ``"all"`` are
    made up for, each with its own time, or ``"none"`` is. A schedule that is new begins with its next time. Two schedules
    of one service have two names.

    >>> from collections.abc import Iterator
    >>> class CloseDay(Command):
    ...     day: str
    >>> @every("0 2 * * *", zone="Europe/Berlin", missed="one")
    ... def nightly(tick: Tick) -> Iterator[CloseDay]:
    ...     yield CloseDay(day=tick.at.date().isoformat())
    >>> nightly.next_after(datetime(2026, 3, 28, 12, tzinfo=UTC)).isoformat()
    '2026-03-29T03:00:00+02:00'

    Raises:
        DeclarationError: the expression or the zone is none, what becomes of missed times is not said, or the function is
            async or takes something else.
    """

    def declare(function: Callable[[Tick], Any]) -> Schedule:
        location = source_location(function)
        check_waits_for_nothing(function, "every")
        taken = [type_hints(function).get(each.name) for each in parameters(function)]
        if taken != [Tick]:
            raise DeclarationError(f"{location} has @every, so it takes one parameter: tick: Tick.")
        if missed is None or missed not in get_args(Missed):
            raise DeclarationError(
                f"{location}: say what becomes of times at which nobody is there: missed='one' for one tick that stands for "
                "all of them, missed='all' for each, or missed='none'."
            )
        schedule = Schedule(function.__name__, expression, zone, missed, function, _yielded(function, location))
        _check_times(schedule, location)
        return schedule

    return declare


def _yielded(function: Callable[[Tick], Any], location: str) -> tuple[type[Command], ...]:
    """Return the commands that a function says it yields."""
    hint = type_hints(function).get("return")
    parts = [part for option in alternatives(hint) for part in (get_args(option) or (option,))]
    found = [kind for part in parts for kind in alternatives(part)]
    if not found or not all(isinstance(kind, type) and issubclass(kind, Command) for kind in found):
        raise DeclarationError(
            f"{location}: annotate the commands that it yields, as in -> Iterator[CloseDay | OpenDay]; found {hint!r}."
        )
    return tuple(found)


def _check_times(schedule: Schedule, location: str) -> None:
    try:
        schedule.next_after(datetime(2026, 1, 1, tzinfo=UTC))
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise DeclarationError(
            f"{location}: there is no time zone {schedule.zone!r}: write zone='Europe/Berlin' or the like. Where a machine "
            "knows of none at all, pip install tzdata."
        ) from error
    except StopIteration as error:
        raise DeclarationError(f"{location}: {schedule.expression!r} has no time in the next fifty years.") from error
    except SettingsError:
        raise
    except Exception as error:
        raise DeclarationError(
            f"{location}: {schedule.expression!r} is no cron expression ({error}). It has minute, hour, day of month, month "
            "and day of week, as in '0 2 * * *' for two o'clock each night."
        ) from error
