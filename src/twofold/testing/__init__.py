"""Shipped to users: given/when/then for decisions and views, whole services, and the suites that certify adapters."""

# ruff: noqa: E402 -- What is to be rewritten has to be said before it is imported.
from pathlib import Path

import pytest

# Who runs a suite from outside sees what was compared, as in tests of their own. All modules, so that none is forgotten.
pytest.register_assert_rewrite(
    *sorted(f"{__name__}.{each.stem}" for each in Path(__file__).parent.glob("*.py") if each.stem != "__init__")
)

from twofold.testing.broker_conformance import BrokerConformance
from twofold.testing.clock import MovableClock
from twofold.testing.given import Given, When, given
from twofold.testing.given_process import GivenProcess, WhenProcess
from twofold.testing.log_conformance import LogConformance
from twofold.testing.services import running, running_system, service_fixture
from twofold.testing.settling import settled
from twofold.testing.transport_conformance import TransportConformance
from twofold.testing.view_conformance import ViewConformance

__all__ = [
    "BrokerConformance",
    "Given",
    "GivenProcess",
    "LogConformance",
    "MovableClock",
    "TransportConformance",
    "ViewConformance",
    "When",
    "WhenProcess",
    "given",
    "running",
    "running_system",
    "service_fixture",
    "settled",
]
