"""Shipped to users: given/when/then for decisions and views, and the suites that certify adapters."""

from twofold.testing.given import Given, When, given

__all__ = ["Given", "When", "given"]
