"""Hosting: services and systems, their declaration, their settings, and how they run."""

from twofold.declaration import Declaration, declare
from twofold.followers import Progress
from twofold.messaging import Delivery
from twofold.queries.answers import EncodedAnswer
from twofold.queries.live import QueryFailure, Subscription, Update
from twofold.service.opening import start
from twofold.service.roles import ROLES, Role, roles_of
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
    "read_settings",
    "roles_of",
    "start",
]
