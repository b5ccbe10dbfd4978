"""Following: the one loop behind views, relay and inbox, with its checkpoints, leases, retries and parked events."""

from twofold.followers.loop import LEASE_SECONDS, Block, EventFailed, Follower, Target
from twofold.followers.model import WHOLE, Claim, Parked, Progress, Segment, Settled
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
    "Segment",
    "Settled",
    "Target",
]
