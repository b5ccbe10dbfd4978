"""What happened, for whoever operates it."""

from twofold.telemetry.logs import configure_logging

__all__ = ["configure_logging"]
