"""Hosting: services and systems, their declaration, their settings, and how they run."""

from twofold.service.answers import Answered
from twofold.service.declaration import Declaration, declare
from twofold.service.live import Subscription, Trouble, Update
from twofold.service.roles import ROLES, Role, roles_of
from twofold.service.running import PATIENCE_SECONDS, Running, start
from twofold.service.service import Service, System
from twofold.service.settings import Settings, read_settings

__all__ = [
    "PATIENCE_SECONDS",
    "ROLES",
    "Answered",
    "Declaration",
    "Role",
    "Running",
    "Service",
    "Settings",
    "Subscription",
    "System",
    "Trouble",
    "Update",
    "declare",
    "read_settings",
    "roles_of",
    "start",
]
