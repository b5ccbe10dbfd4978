"""Rules of the user's own: what is always so of a state, of all states of a kind, or of what views hold."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast, get_args, get_origin

import msgspec

from twofold.errors import DeclarationError
from twofold.folding import Fold, State, fold_of, parameters
from twofold.messages import source_location, type_hints
from twofold.queries import Views
from twofold.service import Service


class Invariant(msgspec.Struct, frozen=True):
    """What is always so. It holds if the function raises nothing, and returns nothing or what is true.

    ``kinds`` are the states that it is about, none if it is about views.
    """

    function: Callable[..., Any]
    takes: Literal["state", "states", "views"]
    kinds: tuple[type[State], ...] = ()

    @property
    def name(self) -> str:
        """The function's."""
        return self.function.__name__

    @property
    def says(self) -> str:
        """What the function's docstring says, or else where it is."""
        said = (inspect.getdoc(self.function) or "").split("\n\n")[0]
        return " ".join(said.split()) or f"what {source_location(self.function)} says"

    def __call__(self, *values: Any) -> Any:
        return self.function(*values)


def invariant(function: Callable[..., Any]) -> Invariant:
    """Declare that something is always so, for simulations to check.

    Of each state of a kind, checked after every event that changes it; of all of them together; or of what views hold,
    whenever all of a service have seen the same part of the log, and in the end. In a system, there is a parameter for each
    service that is read, with its name::

        @invariant
        def never_overdrawn(account: Account) -> bool: ...

        @invariant
        def owners_are_different(accounts: list[Account]) -> bool: ...

        @invariant
        async def nothing_is_lost(views: Views) -> bool: ...

    Raises:
        DeclarationError: the annotations say nothing of that kind.
    """
    if inspect.isfunction(function):
        hints = [type_hints(function).get(each.name) for each in parameters(function)]
        if len(hints) == 1 and _is_state(hints[0]):
            return Invariant(function, "state", (cast("Any", hints[0]),))
        if hints and all(get_origin(each) is list and _is_state(get_args(each)[0]) for each in hints):
            return Invariant(function, "states", tuple([get_args(each)[0] for each in hints]))
        if hints and all(each is Views for each in hints):
            return Invariant(function, "views")
    raise DeclarationError(
        f"{source_location(function)} has @invariant, and its annotations do not say what it is about: a state "
        "(account: Account), all states of a kind (accounts: list[Account]), or views (views: Views)."
    )


def _is_state(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, State)


def folds_of(service: Service) -> dict[type[State], Fold[Any]]:
    """Return the folds of a service by their states: all of its aggregates, whatever else is decided on, and views."""
    declaration = service.declaration
    decided = [boundary.fold for decider in declaration.deciders for boundary in decider.boundaries]
    folds = [*decided, *[fold_of(each) for each in (*declaration.aggregates, *declaration.folded)]]
    return {fold.state: fold for fold in folds if fold.state is not None}


def is_about(invariant: Invariant, services: Sequence[Service]) -> bool:
    """Say whether an invariant can be checked of some services: one of them has all its states, or views of the names."""
    if invariant.takes == "views":
        names = [each.name for each in parameters(invariant.function)]
        return len(services) == len(names) == 1 or {*names} <= {each.name for each in services}
    return any({*invariant.kinds} <= {*folds_of(each)} for each in services)


def check_invariants(invariants: Sequence[Any], services: Sequence[Service]) -> None:
    """Check that all can be checked.

    Raises:
        DeclarationError: one is no invariant, or is about something else than these services.
    """
    names = ", ".join([each.name for each in services])
    for each in invariants:
        if not isinstance(each, Invariant):
            raise DeclarationError(
                f"invariants=[…] has {source_location(each)}, which is not decorated with @invariant."
            )
        if not is_about(each, services):
            raise DeclarationError(
                f"{source_location(each.function)}: {names} has not all that the invariant is about. Its states have to be "
                "of one service; of a system's views, each parameter has the name of its service."
            )
