"""``python -m twofold.cli`` is the command ``twofold``."""

from twofold.cli import main

main()
