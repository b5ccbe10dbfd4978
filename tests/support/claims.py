"""Claims, as tests ask for them: of one follower at a time."""

from twofold.followers import Claim, FollowerStore, claiming


async def claimed(store: FollowerStore, follower: str, owner: str = "test", lease_seconds: float = 60) -> Claim:
    """Return an owner's claim on the one segment of a follower, which it has or gets."""
    found = [
        each for each in await claiming.attend(store, owner, [follower], lease_seconds) if each.follower == follower
    ]
    assert len(found) == 1
    return found[0]
