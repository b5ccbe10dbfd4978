"""How events become a state: the shape that aggregates and views share, and how their declarations are read."""

from twofold.folding.annotations import (
    F,
    alternatives,
    annotated,
    check_reads,
    check_takes,
    check_waits_for_nothing,
    mark,
    marked,
    parameters,
    role_of,
)
from twofold.folding.fold import (
    Fold,
    State,
    StateType,
    check_defaults,
    check_named,
    check_returned,
    evolve,
    fold_of,
    replace,
    state_parts,
)

__all__ = [
    "F",
    "Fold",
    "State",
    "StateType",
    "alternatives",
    "annotated",
    "check_defaults",
    "check_named",
    "check_reads",
    "check_returned",
    "check_takes",
    "check_waits_for_nothing",
    "evolve",
    "fold_of",
    "mark",
    "marked",
    "parameters",
    "replace",
    "role_of",
    "state_parts",
]
