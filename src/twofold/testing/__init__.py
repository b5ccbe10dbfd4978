"""Shipped to users: given/when/then for decisions and views, and the suites that certify adapters."""

from twofold.testing.given import Given, When, given
from twofold.testing.log_conformance import LogConformance
from twofold.testing.view_conformance import ViewConformance

__all__ = ["Given", "LogConformance", "ViewConformance", "When", "given"]
