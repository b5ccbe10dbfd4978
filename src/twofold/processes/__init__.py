"""Seeing through: event handlers, processes, timers and schedules, and commands from one service to another."""

from twofold.processes.beginning import Start, begin, check_start
from twofold.processes.records import (
    RECORDS,
    CommandSent,
    CommandSettled,
    FollowerBegan,
    ProcessEnded,
    TimerCancelled,
    TimerDue,
    TimerSet,
    heard,
)

__all__ = [
    "RECORDS",
    "CommandSent",
    "CommandSettled",
    "FollowerBegan",
    "ProcessEnded",
    "Start",
    "TimerCancelled",
    "TimerDue",
    "TimerSet",
    "begin",
    "check_start",
    "heard",
]
