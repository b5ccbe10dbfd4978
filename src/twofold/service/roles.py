"""Roles: what a process does of all that a service has to do, where not each process does everything."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal, TypeAlias, cast, get_args

from twofold.errors import SettingsError, WrongRole

Role: TypeAlias = Literal["commands", "queries", "followers", "processes", "relay"]
"""``commands`` decides, ``queries`` answers, ``followers`` fills views, ``processes`` runs event handlers, processes and
timers, ``relay`` carries events between services."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)

_DOES = {
    "commands": "decides on commands",
    "queries": "answers queries",
    "followers": "fills views",
    "processes": "runs processes, event handlers and timers",
    "relay": "carries events between services",
}
_NEEDS = {"commands": {"log"}, "queries": {"views"}}
_ASK = {
    "commands": "send commands",
    "queries": "ask queries",
    "followers": "look for views",
    "processes": "look for processes",
    "relay": "ask for the feed",
}


def roles_of(given: Collection[str]) -> frozenset[Role]:
    """Return roles as a set.

    >>> sorted(roles_of(["queries", "commands"]))
    ['commands', 'queries']

    Raises:
        SettingsError: one of them is none, or there is not any.
    """
    if not given or not set(given) <= set(ROLES):
        raise SettingsError(f"roles={list(given)}: a process has one or more of {', '.join(ROLES)}.")
    return cast("frozenset[Role]", frozenset(given))


def needs_of(roles: Collection[Role]) -> frozenset[str]:
    """Return what a process cannot do without: the log, the views or both. Questions without receipts need no log.

    >>> needs_of(["queries"])
    frozenset({'views'})
    """
    return frozenset().union(*[_NEEDS.get(role, {"log", "views"}) for role in roles])


def check_role(service: str, roles: Collection[Role], wanted: Role) -> None:
    """Check that a process has a role.

    Raises:
        WrongRole: it has not; the text says where to go.
    """
    if wanted not in roles:
        does = " and ".join(_DOES[role] for role in ROLES if role in roles)
        raise WrongRole(
            f"This process of {service} {does}, and nothing else: {_ASK[wanted]} at one that runs with --role {wanted}, or "
            "with all roles."
        )
