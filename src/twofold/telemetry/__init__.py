"""What happened, for whoever operates it."""

from twofold.telemetry.events import TelemetryEvent
from twofold.telemetry.listening import Listener, Telemetry
from twofold.telemetry.logs import configure_logging

__all__ = ["Listener", "Telemetry", "TelemetryEvent", "configure_logging"]
