"""The log against the code: what the code at hand would lose, park or get wrong of all that is recorded."""

from twofold.compatibility.checking import check_log
from twofold.compatibility.comparing import tell_unread

__all__ = ["check_log", "tell_unread"]
