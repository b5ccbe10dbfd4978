"""Following: the one loop behind views, relay and inbox, with its checkpoints, leases, retries and parked events."""

from twofold.followers.kept import kept_lane
from twofold.followers.loop import Block, EventFailed, Follower, Target
from twofold.followers.model import WHOLE, Claim, Parked, Progress, Segment, Settled, Standing, standings
from twofold.followers.roster import LEASE_SECONDS, Roster
from twofold.followers.share import Seat, share
from twofold.followers.store import FollowerStore

__all__ = [
    "LEASE_SECONDS",
    "WHOLE",
    "Block",
    "Claim",
    "EventFailed",
    "Follower",
    "FollowerStore",
    "Parked",
    "Progress",
    "Roster",
    "Seat",
    "Segment",
    "Settled",
    "Standing",
    "Target",
    "kept_lane",
    "share",
    "standings",
]
