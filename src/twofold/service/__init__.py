"""Hosting: services and systems, their declaration, their settings, and how they run."""

from twofold.service.declaration import Declaration, declare, events_of
from twofold.service.running import PATIENCE_SECONDS, Running, start
from twofold.service.service import Service, System
from twofold.service.settings import Settings, read_settings

__all__ = [
    "PATIENCE_SECONDS",
    "Declaration",
    "Running",
    "Service",
    "Settings",
    "System",
    "declare",
    "events_of",
    "read_settings",
    "start",
]
