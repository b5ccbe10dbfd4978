"""Hosting: services and systems, their declaration, their settings, and how they run."""

from twofold.declaration import Declaration, declare
from twofold.followers import Progress
from twofold.messaging import Delivery
from twofold.queries import EncodedAnswer, QueryFailure, Subscription, Update
from twofold.service.opening import start
from twofold.service.roles import ROLES, Role, needs_of, roles_of
from twofold.service.running import Running
from twofold.service.service import Service, System
from twofold.service.settings import Settings, read_settings

__all__ = [
    "ROLES",
    "Declaration",
    "Delivery",
    "EncodedAnswer",
    "Progress",
    "QueryFailure",
    "Role",
    "Running",
    "Service",
    "Settings",
    "Subscription",
    "System",
    "Update",
    "declare",
    "needs_of",
    "read_settings",
    "roles_of",
    "start",
]
