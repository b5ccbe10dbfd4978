"""Hosting: services and systems, their declaration, their settings, and how they run."""

from twofold.service.declaration import Declaration, declare
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
    "read_settings",
    "start",
]
