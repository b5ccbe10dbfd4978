"""Deciding: aggregates and deciders, the states they decide on, and the loop that turns commands into events."""

from twofold.commands.context import Context
from twofold.commands.decider import Aggregate, Boundary, Decider, decide, decider_of, deciders_of
from twofold.commands.handler import CommandHandler
from twofold.commands.states import CachedState, StateCache

__all__ = [
    "Aggregate",
    "Boundary",
    "CachedState",
    "CommandHandler",
    "Context",
    "Decider",
    "StateCache",
    "decide",
    "decider_of",
    "deciders_of",
]
