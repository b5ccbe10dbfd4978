"""Seeing through: event handlers, processes, timers and schedules, and commands from one service to another."""

from twofold.processes.records import (
    RECORDS,
    CommandSent,
    CommandSettled,
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
    "ProcessEnded",
    "TimerCancelled",
    "TimerDue",
    "TimerSet",
    "heard",
]
