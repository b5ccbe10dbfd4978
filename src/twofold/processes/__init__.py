"""Seeing through: event handlers, processes, timers and schedules, and commands from one service to another."""

from twofold.processes.beginning import Start, begin, check_start
from twofold.processes.carrying_out import COMMANDS, SentCommandHandler, carried_id, outcome
from twofold.processes.delaying import DelayedCommands
from twofold.processes.effects import Cancel, Compensate, End, Later, Step, after, at, cancel, compensate, end, step
from twofold.processes.event_handlers import EventHandler, HandlerContext, event_handler_of, handle
from twofold.processes.handling import EventHandling
from twofold.processes.instances import ProcessInstance
from twofold.processes.outcomes import Accepted, Compensated, Refused
from twofold.processes.process import Process, migrate, react
from twofold.processes.process_handler import ProcessHandler
from twofold.processes.reading import Definition, definitions_of
from twofold.processes.recording import check_id
from twofold.processes.records import (
    CARRIED_OUT,
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
from twofold.processes.resources import NO_RESOURCES, Resources, opened_resources, resource_flaws
from twofold.processes.schedule_handler import SCHEDULES, ScheduleHandler, begin_schedules
from twofold.processes.schedules import Schedule, Tick, every
from twofold.processes.sending import sent
from twofold.processes.timer_handler import TIMERS, TimerHandler
from twofold.processes.timers import PendingTimer, Timer
from twofold.processes.transaction import HandlerTransaction

__all__ = [
    "CARRIED_OUT",
    "COMMANDS",
    "NO_RESOURCES",
    "RECORDS",
    "SCHEDULES",
    "TIMERS",
    "Accepted",
    "Cancel",
    "CommandSent",
    "CommandSettled",
    "Compensate",
    "Compensated",
    "Definition",
    "DelayedCommands",
    "End",
    "EventHandler",
    "EventHandling",
    "FollowerBegan",
    "HandlerContext",
    "HandlerTransaction",
    "Later",
    "PendingTimer",
    "Process",
    "ProcessEnded",
    "ProcessHandler",
    "ProcessInstance",
    "Refused",
    "Requests",
    "Resources",
    "Schedule",
    "ScheduleHandler",
    "SentCommandHandler",
    "Start",
    "Step",
    "Tick",
    "Timer",
    "TimerCancelled",
    "TimerDue",
    "TimerHandler",
    "TimerSet",
    "addressee",
    "after",
    "at",
    "begin",
    "begin_schedules",
    "cancel",
    "carried_id",
    "check_id",
    "check_start",
    "compensate",
    "definitions_of",
    "end",
    "event_handler_of",
    "every",
    "handle",
    "heard",
    "migrate",
    "opened_resources",
    "outcome",
    "react",
    "resource_flaws",
    "sent",
    "step",
]
