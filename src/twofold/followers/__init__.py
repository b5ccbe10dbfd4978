"""Following: the one loop behind views, relay and inbox, with its checkpoints, leases, retries and parked events."""

from twofold.followers.assignment import Assignment, assign
from twofold.followers.coordinator import Coordinator
from twofold.followers.keyed import KeyedHandler
from twofold.followers.loop import BatchHandler, Block, EventFailed, Follower
from twofold.followers.mending import MENDINGS, EventDiscarded, EventEdited
from twofold.followers.model import WHOLE, Checkpoint, Claim, Parked, Progress, Segment, Standing, standings
from twofold.followers.outage import Outage
from twofold.followers.recoverability import (
    UNRECOVERABLE,
    Decision,
    Discard,
    Failure,
    Park,
    Policy,
    RetryAfter,
    RetryNow,
    retries,
)
from twofold.followers.storable import storable_key
from twofold.followers.store import FollowerStore
from twofold.followers.waiting import PositionWaiter, StandingsWatcher

__all__ = [
    "MENDINGS",
    "UNRECOVERABLE",
    "WHOLE",
    "Assignment",
    "BatchHandler",
    "Block",
    "Checkpoint",
    "Claim",
    "Coordinator",
    "Decision",
    "Discard",
    "EventDiscarded",
    "EventEdited",
    "EventFailed",
    "Failure",
    "Follower",
    "FollowerStore",
    "KeyedHandler",
    "Outage",
    "Park",
    "Parked",
    "Policy",
    "PositionWaiter",
    "Progress",
    "RetryAfter",
    "RetryNow",
    "Segment",
    "Standing",
    "StandingsWatcher",
    "assign",
    "retries",
    "standings",
    "storable_key",
]
