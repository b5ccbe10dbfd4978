"""Shipped to users: given/when/then for decisions and views, whole services, and the suites that certify adapters."""

# ruff: noqa: E402 -- What is to be rewritten has to be said before it is imported.
import pytest

# Who runs a suite from outside sees what was compared, as in tests of their own.
pytest.register_assert_rewrite(
    *[f"twofold.testing.{each}_conformance" for each in ("log", "transport", "view")],
    *[f"twofold.testing.log_{each}" for each in ("batches", "races", "restoring", "scenarios", "types")],
    "twofold.testing.view_rebuilding",
)

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
