"""Seeing through: event handlers, processes, timers and schedules, and commands from one service to another."""

from twofold.processes.beginning import Start, begin, check_start
from twofold.processes.carrying_out import COMMANDS, SentCommandHandler
from twofold.processes.effects import Cancel, Compensate, End, Later, Step, after, at, cancel, compensate, end, step
from twofold.processes.instances import ProcessInstance
from twofold.processes.outcomes import Accepted, Compensated, Refused
from twofold.processes.process import Process, migrate, react
from twofold.processes.process_handler import ProcessHandler
from twofold.processes.reading import Definition, definitions_of
from twofold.processes.records import (
    RECORDS,
    CommandSent,
    CommandSettled,
    FollowerBegan,
    ProcessEnded,
    TimerCancelled,
    TimerDue,
    TimerSet,
    addressee,
    heard,
)
from twofold.processes.requests import Requests
from twofold.processes.sending import sent
from twofold.processes.timers import Timer

__all__ = [
    "COMMANDS",
    "RECORDS",
    "Accepted",
    "Cancel",
    "CommandSent",
    "CommandSettled",
    "Compensate",
    "Compensated",
    "Definition",
    "End",
    "FollowerBegan",
    "Later",
    "Process",
    "ProcessEnded",
    "ProcessHandler",
    "ProcessInstance",
    "Refused",
    "Requests",
    "SentCommandHandler",
    "Start",
    "Step",
    "Timer",
    "TimerCancelled",
    "TimerDue",
    "TimerSet",
    "addressee",
    "after",
    "at",
    "begin",
    "cancel",
    "check_start",
    "compensate",
    "definitions_of",
    "end",
    "heard",
    "migrate",
    "react",
    "sent",
    "step",
]
