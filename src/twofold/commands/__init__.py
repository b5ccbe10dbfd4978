"""Deciding: aggregates and deciders, the states they decide on, and the loop that turns commands into events."""

from twofold.commands.context import Context
from twofold.commands.decider import Aggregate, Boundary, Decider, decide, decider_of, deciders_of
from twofold.commands.handler import Handler
from twofold.commands.states import Cell, States

__all__ = [
    "Aggregate",
    "Boundary",
    "Cell",
    "Context",
    "Decider",
    "Handler",
    "States",
    "decide",
    "decider_of",
    "deciders_of",
]
