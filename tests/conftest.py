"""What all suites share."""

import signal

from hypothesis import settings

# What is found is found again, and a slow machine is no failure.
settings.register_profile("twofold", deadline=None, derandomize=True)
settings.load_profile("twofold")

# A job in the background ignores Ctrl-C, and so would all that it starts, whatever the test sends it.
signal.signal(signal.SIGINT, signal.default_int_handler)
