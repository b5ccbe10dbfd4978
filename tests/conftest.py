"""What all suites share."""

from hypothesis import settings

# What is found is found again, and a slow machine is no failure.
settings.register_profile("twofold", deadline=None, derandomize=True)
settings.load_profile("twofold")
