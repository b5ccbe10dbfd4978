"""Declaring: what a service is, the checks of that, and the graph of what leads to what."""

from twofold.declaration.declaration import Declaration, declare, known_events
from twofold.declaration.followers import check_filled, filled_by, layouts

__all__ = ["Declaration", "check_filled", "declare", "filled_by", "known_events", "layouts"]
