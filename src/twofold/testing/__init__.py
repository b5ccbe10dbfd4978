"""Shipped to users: given/when/then for decisions and views, whole services, and the suites that certify adapters."""

from twofold.testing.given import Given, When, given
from twofold.testing.log_conformance import LogConformance
from twofold.testing.services import running, running_system, service_fixture
from twofold.testing.transport_conformance import TransportConformance
from twofold.testing.view_conformance import ViewConformance

__all__ = [
    "Given",
    "LogConformance",
    "TransportConformance",
    "ViewConformance",
    "When",
    "given",
    "running",
    "running_system",
    "service_fixture",
]
