"""Following: the one loop behind views, relay and inbox, with its checkpoints, leases, retries and parked events."""

from twofold.followers.assignment import Assignment, assign
from twofold.followers.coordinator import Coordinator
from twofold.followers.loop import BatchHandler, Block, EventFailed, Follower
from twofold.followers.model import WHOLE, Checkpoint, Claim, Parked, Progress, Segment, Standing, standings
from twofold.followers.storable import storable_key
from twofold.followers.store import FollowerStore
from twofold.followers.waiting import PositionWaiter, StandingsWatcher

__all__ = [
    "WHOLE",
    "Assignment",
    "BatchHandler",
    "Block",
    "Checkpoint",
    "Claim",
    "Coordinator",
    "EventFailed",
    "Follower",
    "FollowerStore",
    "Parked",
    "PositionWaiter",
    "Progress",
    "Segment",
    "Standing",
    "StandingsWatcher",
    "assign",
    "standings",
    "storable_key",
]
