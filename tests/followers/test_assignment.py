"""Who follows what: the rule by which the load evens out."""

from collections import Counter
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from twofold.followers import Assignment, Segment, assign

NAMES = ["balances", "orders", "prices", "relay"]
OWNERS = ["ann", "bob", "eve", "joe"]


def attend(owner: str, assignments: list[Assignment], present: Mapping[str, set[str]]) -> list[Assignment]:
    """Return the assignments after an owner has said that it is there."""
    ready = [name for name, owners in present.items() if owner in owners]
    decided = assign(owner, ready, assignments, present)
    changes = dict.fromkeys(decided.leave, "") | dict.fromkeys(decided.take, owner)
    assert {each.owner for each in decided.leave} <= {owner}
    assert {each.owner for each in decided.take} <= {""}
    return [Assignment(each.follower, each.segment, changes.get(each, each.owner), each.closed) for each in assignments]


def stable(assignments: list[Assignment], present: Mapping[str, set[str]]) -> list[Assignment]:
    """Have all owners attend in turn until nothing changes any more."""
    for _ in range(4 * len(assignments) + 4):
        before = assignments
        for owner in OWNERS:
            assignments = attend(owner, assignments, present)
        if assignments == before:
            return assignments
    raise AssertionError("Assignments go to and fro.")


presences = st.fixed_dictionaries({name: st.sets(st.sampled_from(OWNERS)) for name in NAMES})
segments = st.integers(0, 7).map(lambda n: Segment(n, n + 1))
owners = st.sampled_from(["", *OWNERS])
all_assignments = st.lists(
    st.builds(Assignment, st.sampled_from(NAMES), segments, owners),
    unique_by=lambda each: (each.follower, each.segment.low),
)


@given(all_assignments, presences)
def test_everything_has_an_owner_if_anybody_is_ready_for_it(
    assignments: list[Assignment], present: dict[str, set[str]]
) -> None:
    """Whoever has what when it begins, and whoever is ready for what; and it comes to rest."""
    gone = [Assignment(s.follower, s.segment, s.owner if s.owner in present[s.follower] else "") for s in assignments]
    for each in stable(gone, present):
        assert each.owner in present[each.follower] or (not each.owner and not present[each.follower])


@given(all_assignments, st.sets(st.sampled_from(OWNERS), min_size=1))
def test_who_is_ready_for_the_same_has_as_much_to_do(assignments: list[Assignment], there: set[str]) -> None:
    """But for the one that is left over."""
    present = dict.fromkeys(NAMES, there)
    gone = [Assignment(s.follower, s.segment, s.owner if s.owner in there else "") for s in assignments]
    loads = Counter(dict.fromkeys(there, 0)) + Counter(each.owner for each in stable(gone, present))
    assert max(loads.values(), default=0) - min((loads[owner] for owner in there), default=0) <= 1


def test_what_waits_to_be_merged_nobody_takes() -> None:
    """There is nothing to do in it, and who took it would begin with what must not be done."""
    assignments = [Assignment("orders", Segment(0, 4), "", closed=True), Assignment("orders", Segment(4, 8))]
    assert assign("ann", ["orders"], assignments, {"orders": ["ann"]}).take == assignments[1:]
