"""How events become a state: the shape that aggregates and views share, and how their declarations are read."""

from twofold.folding.annotations import alternatives, annotated, marked, parameters, source_location
from twofold.folding.fold import F, Fold, State, StateType, evolve, fold_of, replace

__all__ = [
    "F",
    "Fold",
    "State",
    "StateType",
    "alternatives",
    "annotated",
    "evolve",
    "fold_of",
    "marked",
    "parameters",
    "replace",
    "source_location",
]
